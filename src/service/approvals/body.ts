import { makeTurns } from '../../model/give-way.js';
import { mostAnswerBytes } from '../../model/limits.js';
import type { ApprovalJson, DecisionJson } from '../../model/answer-types.js';
import { asJson, type JsonObject } from '../../model/json.js';
import type { Principal } from '../../model/principal.js';
import type { PayloadRef } from '../../model/records.js';
import type { ApprovalRow } from '../../store/approvals.js';
import { claimsOf, delegationsOf, type ClaimRow, type DelegationRow } from '../../store/claims.js';
import { decisionsOf, type DecisionRow } from '../../store/decisions.js';
import { notificationsOf, type NotificationRow } from '../../store/notifications.js';
import { deliveryOf } from './delivery.js';
import { aroundNow, gatesJson, mayOf, shownGates, type Around } from './gates.js';
import type { Approval } from './look.js';
import { explainer, listed, reasonOf, type Because } from './because.js';
import { onExpiry, onTimeout } from './words.js';
import { inLanes } from '../lanes.js';
import type { ServiceDeps } from '../deps.js';
import { parseValue, readAll, readText, type ReadValues } from '../values.js';

/** What stands beside an approval: what people did about it. */
interface Beside {
  readonly decisions: readonly DecisionRow[];
  readonly claims: readonly ClaimRow[];
  readonly delegations: readonly DelegationRow[];
  readonly notifications: readonly NotificationRow[];
  /** Absent people for whom the caller sees it; null where that is not asked. */
  readonly onBehalfOf: readonly string[] | null;
  readonly around: Around;
  readonly reader: Principal | null;
}

/** As one person, or nobody in particular (a notification), reads it. */
export async function bodyOf(
  deps: ServiceDeps,
  { row, state }: Approval,
  reader: Principal | null,
): Promise<ApprovalJson> {
  const [body] = await bodiesOf(deps, [{ row, state, onBehalfOf: null }], reader);
  if (body === undefined) throw new Error('one approval has one body');
  return body;
}

type Item = Approval & Pick<Beside, 'onBehalfOf'>;

/** Of the first ones, as many as one answer carries; always of the first one. */
export async function bodiesOf(
  deps: ServiceDeps,
  items: readonly Item[],
  reader: Principal | null,
): Promise<ApprovalJson[]> {
  const ids = items.map(({ row }) => row.id);
  const [decisions, claims, delegations, notifications, around] = await Promise.all([
    decisionsOf(deps.pool, ids),
    claimsOf(deps.pool, ids, deps.now().toISOString()),
    delegationsOf(deps.pool, ids),
    notificationsOf(deps.pool, ids),
    aroundNow(
      deps,
      items.map(({ row }) => row),
    ),
  ]);
  const of = <T extends { readonly approval: string }>(all: readonly T[], id: string): T[] =>
    all.filter((one) => one.approval === id);
  const whole = items.map(({ row, state, onBehalfOf }) => ({
    row,
    state,
    beside: {
      decisions: of(decisions, row.id),
      claims: of(claims, row.id),
      delegations: of(delegations, row.id),
      notifications: of(notifications, row.id),
      onBehalfOf,
      around,
      reader,
    },
  }));
  const told = fitting(whole);
  const [explain, read] = await Promise.all([
    explainer(
      { deps, principal: reader },
      told.map(({ row }) => row),
    ),
    readAll(
      deps,
      told.flatMap(({ row, beside }) => [
        row.doc.argumentsRef,
        traceOf(row),
        ...beside.decisions.map((one) => one.reasonRef),
        ...beside.delegations.map((one) => one.noteRef),
      ]),
    ),
  ]);
  const turn = makeTurns();
  return inLanes(told, 1, async ({ row, state, beside }) => {
    await turn();
    return approvalBody(read, explain(row), { row, state }, beside);
  });
}

function traceOf({ doc }: Pick<ApprovalRow, 'doc'>): PayloadRef | null {
  return doc.refs.find((ref) => ref.role === 'trace') ?? null;
}

function fitting<T extends { readonly row: ApprovalRow; readonly beside: Beside }>(items: readonly T[]): T[] {
  let bytes = 0;
  const end = items.findIndex(({ row, beside }, index) => {
    const said = [
      ...beside.decisions.map((one) => one.reasonRef),
      ...beside.delegations.map((one) => one.noteRef),
    ];
    bytes += askedBytes(row) + bytesOf(said);
    return bytes > mostAnswerBytes && index > 0;
  });
  return end === -1 ? [...items] : items.slice(0, end);
}

/** What an approval's body carries of what was asked, known before any of it is read. */
export function askedBytes({ doc }: Pick<ApprovalRow, 'doc'>): number {
  const shown = Buffer.byteLength(JSON.stringify([doc.preview, doc.guards, doc.gates, doc.asked]));
  return shown + bytesOf([doc.argumentsRef, ...doc.refs.filter((ref) => ref.role === 'trace')]);
}

function bytesOf(refs: readonly (PayloadRef | null)[]): number {
  return refs.reduce((sum, ref) => sum + (ref?.bytes ?? 0), 0);
}

/** Everything an approver needs: the exact action, why it waits, who may decide, and what follows. */
async function approvalBody(
  read: ReadValues,
  because: readonly Because[],
  { row, state }: Approval,
  beside: Beside,
): Promise<ApprovalJson> {
  const { doc } = row;
  const { kit } = beside.around;
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
    arguments: ((await parseValue(read(doc.argumentsRef))) as JsonObject | null) ?? {},
    preview: doc.preview,
    digest: row.digest,
    requestedBy: { id: doc.requestedBy.id, kind: doc.requestedBy.kind },
    requestedAt: row.requestedAt,
    requesters: [...(state?.requesters ?? doc.requesters)],
    reason: reasonOf(because),
    because: listed(because),
    trace: await parseValue(read(traceOf(row))),
    guards: doc.guards.map(asJson),
    roles: [...row.roles],
    ...gatesJson(shownGates(row, state, beside.around, beside.decisions)),
    ...(beside.reader === null
      ? {}
      : { may: mayOf({ row, state, kit, decisions: beside.decisions }, beside.reader) }),
    decisions: beside.decisions.map((one) => decisionBody(one, read(one.reasonRef))),
    expiresAt: row.expiresAt,
    onTimeout: onTimeout(row, state, kit),
    onExpiry: onExpiry(row, state, kit),
    consequence: doc.consequence,
    escalatedAt: row.escalatedAt,
    closedAt: row.closedAt,
    delivery: deliveryOf(beside.notifications),
    ...peopleOf(read, beside),
  };
}

function peopleOf(
  read: ReadValues,
  { claims, delegations, onBehalfOf }: Beside,
): Pick<ApprovalJson, 'claims' | 'delegations' | 'onBehalfOf'> {
  return {
    claims: claims.map(({ principal, claimedAt, until }) => ({ by: principal, since: claimedAt, until })),
    delegations: delegations.map(({ delegatedBy, delegate, noteRef, at }) => ({
      from: delegatedBy,
      to: delegate,
      note: read(noteRef),
      at,
    })),
    ...(onBehalfOf === null || onBehalfOf.length === 0 ? {} : { onBehalfOf: [...onBehalfOf] }),
  };
}

export async function listedDecision(
  deps: ServiceDeps,
  row: DecisionRow,
): Promise<Omit<DecisionJson, 'approval'>> {
  return decisionBody(row, await readText(deps, row.reasonRef));
}

function decisionBody(row: DecisionRow, reason: string | null): Omit<DecisionJson, 'approval'> {
  return {
    id: row.id,
    by: { id: row.byId, kind: row.byKind },
    decision: row.decision,
    reason,
    at: row.at,
    status: row.status,
    ...(row.code === null ? {} : { code: row.code }),
  };
}
