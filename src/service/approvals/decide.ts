import type { ErrorCode } from '../../model/errors.js';
import type { ApprovalJson, DecisionJson, RunJson } from '../../model/answer-types.js';
import type { DecisionDoor } from '../../model/message.js';
import { isBlank } from '../../model/text.js';
import { decisionsOf, getDecision, type DecisionRow } from '../../store/decisions.js';
import { effectId, note, type Caller } from '../caller.js';
import { whileOurs } from '../effect.js';
import { refuseCaller } from '../may.js';
import { notFound, refusal, type Refusal } from '../refusal.js';
import { runObject, visibleRun } from '../runs/body.js';
import { isOnChain, refusedByRun } from '../runs/refused-by-run.js';
import { bodyOf, listedDecision } from './body.js';
import { refuseDecision, tellWhoDecided, toJudge, type Decision, type Judged } from './judge.js';
import { visibleApproval, type FoundApproval } from './look.js';

export type Decided =
  /** The run has taken it. */
  | { readonly kind: 'applied'; readonly approval: ApprovalJson; readonly run: RunJson }
  /** It is kept, and the run takes it as soon as it can be reached. */
  | { readonly kind: 'accepted'; readonly decisionId: string };

export interface Deciding {
  readonly via: DecisionDoor;
  /** How long the run may take to answer; 3 seconds unless said. */
  readonly waitMs?: number;
}

/** Approves or denies what the caller has found. Who is refused is told why, and that is on record. */
export async function decide(
  caller: Caller,
  found: FoundApproval,
  decision: Decision,
  { via, waitMs }: Deciding,
): Promise<Decided | Refusal> {
  const denied = refuseCaller(caller, 'decideApproval');
  if (denied !== null) return denied;
  const { deps, principal } = caller;
  const { row } = found;
  const judged = await toJudge(deps, found);
  const earlier = earlierDecision(caller, judged);
  const refused = earlier === null ? await refuseDecision(caller, judged, decision) : null;
  if (refused !== null) return noteRefused(caller, row.id, decision, refused);
  if (earlier !== null && earlier.status !== 'accepted') return repeated(caller, judged, earlier);
  const decisionId = effectId(caller, 'dec');
  const { digest = '', reason = '' } = decision;
  const outcome = await deps.client.decide({
    run: row.run,
    decisionId,
    approval: row.id,
    decision: decision.decision,
    digest,
    reason: isBlank(reason) ? null : reason,
    principal,
    via: principal.actedBy === undefined ? via : 'callback',
    whileOurs: whileOurs(caller),
    ...(waitMs === undefined ? {} : { waitMs }),
  });
  const said = await refusedByRun(caller, row.run, outcome);
  if (said === null)
    return outcome.status === 'answered' ? applied(caller, row.id) : { kind: 'accepted', decisionId };
  if (outcome.status === 'answered' && outcome.by === 'door') noteRefused(caller, row.id, decision, said);
  return said.code === 'ALREADY_DECIDED'
    ? tellWhoDecided(said, await decisionsOf(deps.pool, [row.id]), principal)
    : said;
}

/** What this very request has decided before: that is never held against it. */
export function earlierDecision(
  caller: Caller,
  { decisions }: Pick<Judged, 'decisions'>,
): DecisionRow | null {
  const id = effectId(caller, 'dec');
  return decisions.find((one) => one.id === id) ?? null;
}

/** The first attempt of this request got through: its effect is the answer. */
function repeated(
  caller: Caller,
  { decisions }: Judged,
  earlier: DecisionRow,
): Promise<Decided | Refusal> | Refusal {
  if (earlier.status === 'applied') return applied(caller, earlier.approval);
  const code = (earlier.code ?? 'ALREADY_DECIDED') as ErrorCode;
  caller.trail.recordedByRun = isOnChain(code);
  return tellWhoDecided(refusal(code, 'the run refused this decision'), decisions, caller.principal);
}

async function applied(caller: Caller, id: string): Promise<Decided | Refusal> {
  const found = await visibleApproval(caller, id);
  if (found.kind === 'refusal') return found;
  const approval = await bodyOf(caller.deps, found, caller.principal);
  return { kind: 'applied', approval, run: runObject(found.run) };
}

export function noteRefused(
  caller: Caller,
  approval: string,
  { decision }: Pick<Decision, 'decision'>,
  refused: Refusal,
): Refusal {
  const { why } = refused.extra;
  note(caller, {
    type: 'approval.refused',
    approval,
    data: { code: refused.code, decision, ...(typeof why === 'string' ? { why } : {}) },
  });
  return refused;
}

/** What became of a decision. */
export async function readDecision(
  caller: Caller,
  id: string,
): Promise<{ readonly kind: 'decision'; readonly body: DecisionJson } | Refusal> {
  const { deps } = caller;
  const refused = refuseCaller(caller, 'getDecision');
  if (refused !== null) return refused;
  const row = await getDecision(deps.pool, id);
  if (row === null) return notFound('decision', id);
  const found = await visibleRun(caller, row.run);
  if (found.kind === 'refusal') return notFound('decision', id);
  return { kind: 'decision', body: { ...(await listedDecision(deps, row)), approval: row.approval } };
}
