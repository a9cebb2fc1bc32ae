import { mayDecide, shownDigest, wantsReason } from '../../engine/index.js';
import type { ApprovalState, Kit } from '../../engine/state.js';
import { PayloadKeyUnopened, readShown, type PayloadsErased } from '../../audit/index.js';
import { isOpen, settledCode } from '../../model/approval-status.js';
import { canonical, sameJson } from '../../model/values/canonical.js';
import type { ErrorCode } from '../../model/contract/errors.js';
import type { Json, JsonObject } from '../../model/values/json.js';
import type { Principal } from '../../model/principal.js';
import { isBlank } from '../../model/values/text.js';
import { queuesIn, sha256 } from '../../schema/kit.js';
import { approvalWithDigest, type ApprovalRow } from '../../store/approvals/approvals.js';
import { decisionsOf, type DecisionRow } from '../../store/approvals/decisions.js';
import type { Caller } from '../caller.js';
import type { ServiceDeps } from '../deps.js';
import { refusal, type Refusal } from '../refusal.js';
import { parseArguments, readAll } from '../values.js';
import type { Approval, HeldApproval } from './look.js';

// Who may decide an approval, and with which code and words a decision is refused: the same for every door. The run checks all
// of it again.

export type QueueKit = Pick<Kit, 'queueRoles'>;

/** An approval with what is needed to judge who may decide it. */
export interface Judged extends Approval {
  readonly kit: QueueKit;
  /** All decisions of this approval. They are read after the run's document, so that what the run has applied is among them. */
  readonly decisions: readonly DecisionRow[];
}

export async function loadJudged<A extends Approval>(deps: ServiceDeps, approval: A): Promise<A & Judged> {
  const [kit, decisions] = await Promise.all([readQueueKit(deps), decisionsOf(deps.pool, [approval.row.id])]);
  return { ...approval, kit, decisions };
}

/** Which roles decide in which queues, as the policies say now. */
export async function readQueueKit({ policies }: Pick<ServiceDeps, 'policies'>): Promise<QueueKit> {
  return queuesIn(await policies.policySet());
}

type Judgement =
  | { readonly status: 'yes' }
  | {
      readonly status: 'no';
      readonly code: ErrorCode;
      /** The engine's word for what keeps this person from deciding; null: nobody can decide the approval any more. */
      readonly why: string | null;
      readonly message: string;
    };

/**
 * Whether this person may decide the approval now: the engine's answer, and what the run does not know yet. A decision that is
 * kept but not yet applied counts as the person's decision.
 */
export function judge({ row: { status }, state, kit, decisions }: Judged, principal: Principal): Judgement {
  if (!isOpen(status))
    return {
      status: 'no',
      code: settledCode(status),
      why: null,
      message: `the approval is ${status}: there is nothing left to decide`,
    };
  if (state === null)
    return {
      status: 'no',
      code: 'APPROVAL_REVOKED',
      why: null,
      message: 'the run no longer holds this approval',
    };
  const may = mayDecide(state, principal, kit);
  const own = ownDecision(decisions, principal.id);
  const isDecided = may.status === 'yes' ? own?.status === 'accepted' : may.why === 'already_decided';
  if (own !== null && isDecided)
    return { status: 'no', code: 'ALREADY_DECIDED', why: 'already_decided', message: ownDecisionText(own) };
  if (may.status === 'yes') return may;
  return { ...may, code: may.why === 'already_decided' ? 'ALREADY_DECIDED' : 'NOT_AN_APPROVER' };
}

/** Why this person cannot decide the approval now; null: it is open, and they may. */
export function refuseDecider(judged: Judged, principal: Principal): Refusal | null {
  const may = judge(judged, principal);
  if (may.status === 'yes') return null;
  const refused = refusal(may.code, may.message, may.why === null ? {} : { why: may.why });
  return tellWhoDecided(refused, judged.decisions, principal);
}

export interface Decision {
  readonly decision: 'approve' | 'deny';
  /** Digest of the approval as the person has seen it. */
  readonly digest?: string | undefined;
  readonly reason?: string | undefined;
}

/**
 * Why a decision would be refused now; null: the run would take it. Checked in this order: still open, approver, digest, reason
 * (docs/spec/api.md).
 */
export async function refuseDecision(
  { deps, principal }: Caller,
  judged: Judged & HeldApproval,
  decision: Decision,
): Promise<Refusal | null> {
  const refused = refuseDecider(judged, principal);
  if (refused !== null || judged.state === null) return refused;
  return (
    (await digestRefusal(deps, judged, judged.state, decision)) ??
    reasonRefusal(deps, judged, judged.state, principal, decision)
  );
}

async function digestRefusal(
  deps: ServiceDeps,
  { row, held }: Pick<HeldApproval, 'row' | 'held'>,
  state: ApprovalState,
  { decision, digest }: Decision,
): Promise<Refusal | null> {
  if (digest === undefined || digest === '') {
    return refusal(
      'DIGEST_REQUIRED',
      `send \`digest\`, the digest of the approval as you have seen it: see GET /v1/approvals/${state.id}`,
    );
  }
  if (digest === state.action.digest)
    return (
      (await argumentsRefusal(deps, row)) ??
      (decision === 'approve' ? await shownRefusal(deps, { row, held }, state) : null)
    );
  const seen = await approvalWithDigest(deps.pool, row.run, digest);
  const detail = `the decision names another digest than the approval has: look at \`${state.id}\` again, and decide what it asks for now`;
  return refusal('DIGEST_MISMATCH', detail, { changed: await changedFields(deps, digest, seen, row) });
}

export function argumentsGone({ run }: Pick<ApprovalRow, 'run'>): string {
  return `the arguments that were asked for can no longer be read, so it can be neither approved nor denied: cancel run \`${run}\``;
}

/** Why the run takes no decision: its steps read the arguments of what it waits for. */
async function argumentsRefusal(deps: ServiceDeps, row: ApprovalRow): Promise<Refusal | null> {
  const { argumentsRef } = row.doc;
  const read = await readAll(deps, [argumentsRef]);
  const unopened = read.unopened(argumentsRef);
  if (unopened !== null) return refuseUnopened(argumentsUnopened, unopened);
  if ((await parseArguments(read, row.doc)) !== null) return null;
  return refusal('DIGEST_MISMATCH', argumentsGone(row), { why: 'arguments_gone' });
}

async function readArguments(deps: ServiceDeps, { doc }: ApprovalRow): Promise<JsonObject | null> {
  return parseArguments(await readAll(deps, [doc.argumentsRef]), doc);
}

export const keyUnopened = 'key_unopened';
export const argumentsUnopened =
  'what was asked for cannot be read here, so it is neither approved nor denied';
export const previewUnopened =
  'what would run cannot be read here, so it can only be denied, without a reason';

export const reasonUnopened =
  'what would run cannot be read here, and the reason that a denial needs cannot be kept, so it is neither approved nor denied';

/**
 * What follows from it that a key does not open here, and what to do: to cancel the run, or before that `others`. Whether anything
 * is lost, nobody knows.
 */
export function unopenedText(follows: string, { message }: PayloadKeyUnopened, others = ''): string {
  return `${follows}: ${message}, and the run can be ${others}cancelled`;
}

/** It holds only for now: another process may open the key, or this one after it was given its key-encryption key. */
export function refuseUnopened(follows: string, unopened: PayloadKeyUnopened, others = ''): Refusal {
  return refusal('KEY_UNOPENED', unopenedText(follows, unopened, others), { why: keyUnopened }, 2);
}

export const previewGone = 'what would run can no longer be read';

export function reasonGone({ run }: Pick<ApprovalRow, 'run'>): string {
  return `${previewGone}, and the reason that a denial needs cannot be kept, so it can be neither approved nor denied: cancel run \`${run}\``;
}

/**
 * Why nobody can approve what nobody can be shown: what the store has of it is not what the digest binds. A denial needs none of
 * it, since nothing runs by one.
 */
async function shownRefusal(
  { payloads, pool, onInternalError }: ServiceDeps,
  { row: { doc }, held }: Pick<HeldApproval, 'row' | 'held'>,
  { id, action }: ApprovalState,
): Promise<Refusal | null> {
  const shown = await readShown(payloads, pool, doc);
  if (shown instanceof PayloadKeyUnopened) {
    onInternalError(`the preview of \`${id}\``, shown);
    return refuseUnopened(previewUnopened, shown);
  }
  const digest = (value: Json): string => sha256(canonical(value));
  const isHeld = held === undefined || sameJson(doc.argumentsRef, held?.payload ?? null);
  if (shown !== null && isHeld && shownDigest({ digest }, shown) === action.bound.shown) return null;
  const [why, what] =
    shown === null
      ? ['preview_gone', previewGone]
      : ['shown_changed', 'what the store has as shown to the approvers is not what they were shown'];
  const detail = `${what}, so \`${id}\` cannot be approved: deny it, and have it asked for again`;
  return refusal('DIGEST_MISMATCH', detail, { why });
}

/** The fields that differ, where the digest sent belongs to an approval of this run; else only the digests. */
async function changedFields(
  deps: ServiceDeps,
  digest: string,
  seen: ApprovalRow | null,
  now: ApprovalRow,
): Promise<Json> {
  const digests = { field: 'digest', decided: digest.toWellFormed(), current: now.digest };
  if (seen === null) return [digests];
  const fieldsOf = async (asked: ApprovalRow): Promise<Record<string, Json>> => {
    const { transition, doc, requestedBy } = asked;
    const [args, shown] = await Promise.all([
      readArguments(deps, asked),
      readShown(deps.payloads, deps.pool, doc),
    ]);
    const known = shown instanceof PayloadKeyUnopened ? null : shown;
    return { transition, tool: doc.tool, tier: doc.tier, requestedBy, arguments: args, shown: known };
  };
  const [old, current] = await Promise.all([fieldsOf(seen), fieldsOf(now)]);
  const differing = Object.keys(current).filter((key) => canonical(old[key]) !== canonical(current[key]));
  return [
    digests,
    ...differing.map((field) => ({ field, decided: old[field] ?? null, current: current[field] ?? null })),
  ];
}

async function reasonRefusal(
  deps: ServiceDeps,
  { row, kit }: Pick<Judged, 'row' | 'kit'>,
  state: ApprovalState,
  principal: Principal,
  { decision, reason }: Decision,
): Promise<Refusal | null> {
  const isGiven = reason !== undefined && !isBlank(reason);
  const isWanted = wantsReason(state, principal, decision, kit);
  if (!isGiven && !isWanted) return null;
  const closed = await deps.payloads.whyClosed(deps.pool, row.run);
  if (closed !== null) return refuseReason(deps, row, closed, isWanted ? verdict[decision] : null);
  if (isGiven) return null;
  return refusal('REASON_REQUIRED', 'this gate asks for a reason: send `reason`', {
    errors: [{ pointer: '/reason', message: 'is required by this gate' }],
  });
}

/** Refuses a decision whose reason could not be kept. `wantedFor`: what cannot be done without one; null: nothing. */
function refuseReason(
  { onInternalError }: ServiceDeps,
  { id, run }: ApprovalRow,
  closed: PayloadsErased | PayloadKeyUnopened,
  wantedFor: string | null,
): Refusal {
  if (closed instanceof PayloadKeyUnopened) {
    onInternalError(`the reason of a decision about \`${id}\``, closed);
    return wantedFor === null
      ? refuseUnopened(
          'the reason cannot be kept here, and nothing of this request is',
          closed,
          'decided without a reason, or ',
        )
      : refuseUnopened(
          `this gate asks for a reason, and none can be kept here, so it cannot be ${wantedFor}`,
          closed,
        );
  }
  const erased = `the values of run \`${run}\` were erased, and nothing can be added to them`;
  return refusal(
    'RUN_STUCK',
    wantedFor === null
      ? `${erased}, so the reason cannot be kept: decide without a reason, or cancel the run`
      : `${erased}, so the reason that this gate asks for cannot be kept, and it cannot be ${wantedFor}: cancel the run`,
  );
}

/** Adds to ALREADY_DECIDED who has decided, and when: somebody else, or this person before. Other refusals stay as they are. */
export function tellWhoDecided(
  refused: Refusal,
  decisions: readonly DecisionRow[],
  { id }: Pick<Principal, 'id'>,
): Refusal {
  if (refused.code !== 'ALREADY_DECIDED') return refused;
  const isOwn = refused.extra['why'] === 'already_decided';
  const last = isOwn
    ? ownDecision(decisions, id)
    : (decisions.findLast((row) => row.status !== 'refused') ?? null);
  if (last === null)
    return {
      ...refused,
      extra: { ...refused.extra, decidedBy: { id: 'countersign', kind: 'runtime' }, decidedAt: null },
    };
  const { byId, byKind, at, decision } = last;
  const detail = isOwn
    ? ownDecisionText(last)
    : `${refused.detail}; \`${byId}\` ${verdict[decision]} it at ${at}`;
  const told: JsonObject = { decidedBy: { id: byId, kind: byKind }, decidedAt: at, decision };
  return { ...refused, detail, extra: { ...refused.extra, ...told } };
}

/** The last decision of this person that was not refused. */
export function ownDecision(decisions: readonly DecisionRow[], id: string): DecisionRow | null {
  return decisions.findLast((row) => row.byId === id && row.status !== 'refused') ?? null;
}

/** What this person has decided, when, and whether the run has applied it. */
function ownDecisionText({ byId, decision, at, status }: DecisionRow): string {
  const applied =
    status === 'applied' ? 'the run has applied it' : 'it is kept, and the run has not applied it yet';
  return `\`${byId}\` has already ${verdict[decision]} this, at ${at}: ${applied}`;
}

export const verdict = { approve: 'approved', deny: 'denied' } as const;

/** For which of the two decisions this person must give a reason. */
export interface RequiredReasons {
  readonly approve: boolean;
  readonly deny: boolean;
}

export function requiredReasons(
  { state, kit }: Pick<Judged, 'state' | 'kit'>,
  principal: Principal,
): RequiredReasons {
  const asks = (decision: keyof RequiredReasons): boolean =>
    state !== null && wantsReason(state, principal, decision, kit);
  return { approve: asks('approve'), deny: asks('deny') };
}
