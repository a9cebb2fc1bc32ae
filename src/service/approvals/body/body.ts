import { makeTurns } from '../../../model/give-way.js';
import { mostAnswerBytes } from '../../../model/limits.js';
import type { ApprovalJson, DecisionJson } from '../../../model/contract/answer-types.js';
import { asJson } from '../../../model/values/json.js';
import type { Principal } from '../../../model/principal.js';
import type { PayloadRef } from '../../../model/records.js';
import type { ApprovalRow } from '../../../store/approvals/approvals.js';
import {
  claimsOf,
  delegationsOf,
  type ClaimRow,
  type DelegationRow,
} from '../../../store/approvals/claims.js';
import { decisionsOf, type DecisionRow } from '../../../store/approvals/decisions.js';
import { notificationsOf, type NotificationRow } from '../../../store/notifications.js';
import { deliveryOf } from './delivery.js';
import { readDeciders, gatesJson, mayOf, gateStatuses, type Deciders } from './gates.js';
import type { Approval } from '../look.js';
import { makeExplain, becauseJson, becauseText, type Because } from './because.js';
import { expiryText, timeoutAction } from './words.js';
import { inLanes } from '../../lanes.js';
import type { ServiceDeps } from '../../deps.js';
import { parseArguments, parseValue, readAll, unreadableOf, type ReadValues } from '../../values.js';

/** What an approval's body needs besides the approval itself. */
interface Related {
  readonly decisions: readonly DecisionRow[];
  readonly claims: readonly ClaimRow[];
  readonly delegations: readonly DelegationRow[];
  readonly notifications: readonly NotificationRow[];
  /** Absent people for whom the caller sees it; null: not asked for. */
  readonly onBehalfOf: readonly string[] | null;
  readonly deciders: Deciders;
  readonly reader: Principal | null;
}

/** The approval as `reader` reads it; null: nobody in particular, as in a notification. */
export async function bodyOf(
  deps: ServiceDeps,
  { row, state }: Approval,
  reader: Principal | null,
): Promise<ApprovalJson> {
  const [body] = await bodiesOf(deps, [{ row, state, onBehalfOf: null }], reader);
  if (body === undefined) throw new Error('the approval has no body');
  return body;
}

type Item = Approval & Pick<Related, 'onBehalfOf'>;

/** The bodies of the first items, as many as an answer may carry; at least one. */
export async function bodiesOf(
  deps: ServiceDeps,
  items: readonly Item[],
  reader: Principal | null,
): Promise<ApprovalJson[]> {
  const ids = items.map(({ row }) => row.id);
  const [decisions, claims, delegations, notifications, deciders] = await Promise.all([
    decisionsOf(deps.pool, ids),
    claimsOf(deps.pool, ids, deps.now().toISOString()),
    delegationsOf(deps.pool, ids),
    notificationsOf(deps.pool, ids),
    readDeciders(
      deps,
      items.map(({ row }) => row),
    ),
  ]);
  const rowsOf = <T extends { readonly approval: string }>(all: readonly T[], id: string): T[] =>
    all.filter((row) => row.approval === id);
  const withRelated = items.map(({ row, state, onBehalfOf }) => ({
    row,
    state,
    related: {
      decisions: rowsOf(decisions, row.id),
      claims: rowsOf(claims, row.id),
      delegations: rowsOf(delegations, row.id),
      notifications: rowsOf(notifications, row.id),
      onBehalfOf,
      deciders,
      reader,
    },
  }));
  const fitted = takeFitting(withRelated);
  const [explain, read] = await Promise.all([
    makeExplain(
      { deps, principal: reader },
      fitted.map(({ row }) => row),
    ),
    readAll(
      deps,
      fitted.flatMap(({ row, related }) => [
        row.doc.argumentsRef,
        row.doc.previewRef ?? null,
        traceOf(row),
        ...related.decisions.map((decision) => decision.reasonRef),
        ...related.delegations.map((delegation) => delegation.noteRef),
      ]),
    ),
  ]);
  const turn = makeTurns();
  return inLanes(fitted, 1, async ({ row, state, related }) => {
    await turn();
    return approvalBody(deps, read, explain(row), { row, state }, related);
  });
}

function traceOf({ doc }: Pick<ApprovalRow, 'doc'>): PayloadRef | null {
  return doc.refs.find((ref) => ref.role === 'trace') ?? null;
}

function takeFitting<T extends { readonly row: ApprovalRow; readonly related: Related }>(
  items: readonly T[],
): T[] {
  let bytes = 0;
  const end = items.findIndex(({ row, related }, index) => {
    const said = [
      ...related.decisions.map((decision) => decision.reasonRef),
      ...related.delegations.map((delegation) => delegation.noteRef),
    ];
    bytes += askedBytes(row) + bytesOf(said);
    return bytes > mostAnswerBytes && index > 0;
  });
  return end === -1 ? [...items] : items.slice(0, end);
}

/** Bytes of what was asked, as an approval's body carries it; known before any value is read. */
export function askedBytes({ doc }: Pick<ApprovalRow, 'doc'>): number {
  const { preview, guards, gates, asked, argumentsRef, previewRef = null, refs } = doc;
  const shown = Buffer.byteLength(JSON.stringify([preview, guards, gates, asked]));
  return shown + bytesOf([argumentsRef, previewRef, ...refs.filter((ref) => ref.role === 'trace')]);
}

function bytesOf(refs: readonly (PayloadRef | null)[]): number {
  return refs.reduce((sum, ref) => sum + (ref?.bytes ?? 0), 0);
}

/** Everything that an approver needs: the exact action, why it waits, who may decide, and what follows. */
async function approvalBody(
  deps: ServiceDeps,
  read: ReadValues,
  because: readonly Because[],
  { row, state }: Approval,
  related: Related,
): Promise<ApprovalJson> {
  const { doc } = row;
  const { kit } = related.deciders;
  const { asked, shown, ...lost } = await readAsked(deps, read, row);
  const { unreadable, unopened } = lost;
  // A notification is tried again instead, perhaps by a process in which the key opens.
  if (related.reader === null && unopened !== null) throw unopened;
  const trace = traceOf(row);
  const cannotBeRead = [...unreadable, ...(unreadableOf(read, { trace }).unreadable ?? [])];
  const gates = gateStatuses(row, state, related.deciders, related.decisions);
  return {
    id: row.id,
    status: row.status,
    run: row.run,
    action: row.action,
    flow: row.flow,
    flowVersion: doc.flowVersion,
    environment: row.environment,
    state: doc.state,
    transition: row.transition,
    tool: doc.tool,
    tier: doc.tier,
    summary: doc.summary,
    arguments: asked ?? {},
    preview: shown,
    ...(cannotBeRead.length === 0 ? {} : { unreadable: cannotBeRead }),
    digest: row.digest,
    requestedBy: { id: doc.requestedBy.id, kind: doc.requestedBy.kind },
    requestedAt: row.requestedAt,
    requesters: [...(state?.requesters ?? doc.requesters)],
    reason: becauseText(because),
    because: becauseJson(because),
    trace: await parseValue(read.text(trace)),
    guards: doc.guards.map(asJson),
    roles: state === null ? [...row.roles] : [...new Set(gates.flatMap(({ roles }) => roles))],
    ...gatesJson(gates),
    ...(related.reader === null
      ? {}
      : { may: mayOf({ row, state, kit, decisions: related.decisions }, related.reader, lost) }),
    decisions: related.decisions.map((decision) => decisionJson(read, decision)),
    expiresAt: row.expiresAt,
    onTimeout: timeoutAction(row, state, kit),
    onExpiry: expiryText(row, state, kit),
    consequence: doc.consequence,
    escalatedAt: row.escalatedAt,
    closedAt: row.closedAt,
    delivery: deliveryOf(related.notifications),
    ...peopleOf(read, related),
  };
}

/**
 * What was asked for and what would run, or what of it cannot be read, and the key that does not open where that is why.
 * `isClosed`: of the rest, no reason can be kept either.
 */
async function readAsked({ payloads, pool }: ServiceDeps, read: ReadValues, { doc, run }: ApprovalRow) {
  const { preview = null, previewRef = null } = doc;
  const asked = await parseArguments(read, doc);
  const shown = previewRef === null ? preview : await parseValue(read.text(previewRef));
  const unreadable = [
    ...(asked === null ? (['arguments'] as const) : []),
    ...(previewRef !== null && shown === null ? (['preview'] as const) : []),
  ];
  const unopened = read.unopened(doc.argumentsRef) ?? read.unopened(previewRef);
  const isClosed = unreadable.length > 0 && (unopened ?? (await payloads.whyClosed(pool, run))) !== null;
  return { asked, shown, unreadable, unopened, isClosed };
}

function peopleOf(
  read: ReadValues,
  { claims, delegations, onBehalfOf }: Related,
): Pick<ApprovalJson, 'claims' | 'delegations' | 'onBehalfOf'> {
  return {
    claims: claims.map(({ principal, claimedAt, until }) => ({ by: principal, since: claimedAt, until })),
    delegations: delegations.map(({ delegatedBy, delegate, noteRef, at }) => ({
      from: delegatedBy,
      to: delegate,
      note: read.text(noteRef),
      ...unreadableOf(read, { note: noteRef }),
      at,
    })),
    ...(onBehalfOf === null || onBehalfOf.length === 0 ? {} : { onBehalfOf: [...onBehalfOf] }),
  };
}

export async function readDecisionJson(
  deps: ServiceDeps,
  row: DecisionRow,
): Promise<Omit<DecisionJson, 'approval'>> {
  return decisionJson(await readAll(deps, [row.reasonRef]), row);
}

function decisionJson(read: ReadValues, row: DecisionRow): Omit<DecisionJson, 'approval'> {
  return {
    id: row.id,
    by: { id: row.byId, kind: row.byKind },
    decision: row.decision,
    reason: read.text(row.reasonRef),
    ...unreadableOf(read, { reason: row.reasonRef }),
    at: row.at,
    status: row.status,
    ...(row.code === null ? {} : { code: row.code }),
  };
}
