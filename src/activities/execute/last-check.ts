import { canonical, sameJson } from '../../model/values/canonical.js';
import {
  allApproved,
  askedForNow,
  bindingDigest,
  boundRules,
  changedReads,
  connectionProblem,
  connectionsDigest,
  guardRefusing,
  missingUnderFloors,
  readsOf,
  readsProblem,
  shownDigest,
} from '../../engine/index.js';
import type { OnEnter, Plan, Transition } from '../../engine/plan.js';
import type { Executing, GuardReport, Kit, RunState, Shown } from '../../engine/state.js';
import { approvedDigests, PayloadKeyUnopened, readShown } from '../../audit/index.js';
import { together, type Tx } from '../../db/index.js';
import { consumeGrant, lockGrant, type AttemptRow, type Grant } from '../../store/runs/actions.js';
import { getApproval } from '../../store/approvals/approvals.js';
import type { ActivityDeps } from '../deps.js';
import type { Executed, ExecutionBasis } from './begun.js';

export interface GrantProblem {
  readonly code: 'DIGEST_MISMATCH' | 'GUARD_REJECTED';
  readonly message: string;
  readonly guard: GuardReport | null;
}

/** What the store has about a grant and its approval. */
export interface GrantFacts {
  /** The digests of the action that were approved, according to the record. */
  readonly approved: readonly string[];
  /** What the store has as shown to the approvers. Null: the action needs no approval, or the store has none, not all of it, or other arguments. */
  readonly shown: Shown | null;
  /** Null: there is no grant, or the action was begun before. */
  readonly grant: Grant | null;
}

/** Reads them together. The grant stays locked until the transaction ends. */
export async function loadGrantFacts(
  { payloads }: Pick<ActivityDeps, 'payloads'>,
  tx: Tx,
  { row: { id: run }, loaded: { holdings }, executing: { action } }: Executed,
  attempts: readonly AttemptRow[],
): Promise<GrantFacts> {
  const { approval: id } = action;
  const argumentsRef = holdings.actions.get(action.id)?.payload ?? null;
  const findShown = async (approval: string): Promise<Shown | null> => {
    const row = await getApproval(tx, approval);
    if (row === null || !sameJson(row.doc.argumentsRef, argumentsRef)) return null;
    const found = await readShown(payloads, tx, row.doc);
    // Nothing is known of what was shown: the attempt is made again, and not ended as if something had changed.
    if (found instanceof PayloadKeyUnopened) throw found;
    return found;
  };
  const [approved, shown, grant] = await together([
    id === null ? [] : approvedDigests(tx, run, id),
    id === null ? null : findShown(id),
    attempts.length > 0 ? null : lockGrant(tx, action.id),
  ]);
  return { approved, shown, grant };
}

/**
 * Why an effect may not begin; null: it may. What would run is compared with the run's plan, its digest is computed
 * again, and the first attempt uses up its grant. The approvers, the guards, the gates and the floors are checked again for as long
 * as no attempt can have had the effect. `kit` is made of the policies that the call will use.
 */
export async function grantProblem(
  tx: Tx,
  basis: ExecutionBasis,
  attempts: readonly AttemptRow[],
  facts: GrantFacts,
): Promise<GrantProblem | null> {
  const found = await findProblem(tx, basis, attempts, facts);
  if (found === null) return null;
  if (typeof found === 'string') return { code: 'DIGEST_MISMATCH', message: found, guard: null };
  const message = `guard ${found.index} (${found.kind}) no longer passes: ${found.reason}`;
  return { code: 'GUARD_REJECTED', message, guard: found };
}

async function findProblem(
  tx: Tx,
  { row, plan, kit, loaded: { state: run }, executing }: ExecutionBasis,
  attempts: readonly AttemptRow[],
  facts: GrantFacts,
): Promise<string | GuardReport | null> {
  const { action } = executing;
  const approval = run.approvals.find(({ id }) => id === action.approval);
  if (action.approval !== null && approval === undefined)
    return 'the approval that this action names does not exist';
  const digest = bindingDigest(kit, run, action, boundRules(approval?.gates ?? []));
  if (digest !== action.digest) return 'what would run is not what was checked and approved';
  if (approval !== undefined && !wasApproved(facts, digest))
    return 'the record of its decisions names another action than the one that would run';
  // The digest binds the plan, and the plan has the call: the copy of the call in the run's state is compared with the plan's.
  // Whoever may write to the store can put another plan into the run's row, or another environment with other floors and targets:
  // both have to be those of the document, which the digest binds.
  const isSame = row.planHash === run.planHash && row.environment === run.environment;
  const planned = isSame ? findPlannedStep(plan, run, executing) : null;
  if (planned === null) return "what would run is not what the run's plan says";
  const changed = approval === undefined ? null : findChange(kit, run, executing, facts);
  if (changed !== null) return changed;
  if (attempts.some(({ outcome, effectPossible }) => outcome === null || effectPossible)) return null;
  const refusing = 'guards' in planned ? guardRefusing(kit, run, planned, action) : null;
  if (refusing !== null) return refusing;
  if (approval !== undefined && !allApproved(approval, kit))
    return 'somebody who approved it no longer decides where it waited';
  const missing =
    missingUnderFloors({ ...planned, tier: planned.tier ?? null }, approval, kit) ??
    ('guards' in planned ? askedForNow(kit, run, planned, action, approval) : null);
  if (missing !== null || attempts.length > 0) return missing;
  const grant = await consumeGrant(tx, action.id, digest, facts.grant);
  return grant === 'consumed' ? null : `this action has no unused grant for its digest (${grant})`;
}

/** What has changed since the approval: the call's connections, what it reads of the run, or the stored card; null: nothing. */
function findChange(kit: Kit, run: RunState, executing: Executing, { shown }: GrantFacts): string | null {
  const { bound } = executing.action;
  if (connectionsDigest(kit, executing) !== bound.connections) return connectionProblem(kit, executing, run);
  const reads = changedReads(bound.reads, readsOf(kit, executing, run));
  if (reads.length > 0) return readsProblem(reads);
  return shown !== null && shownDigest(kit, shown) === bound.shown
    ? null
    : 'what the store has as shown to the approvers is not what they were shown';
}

/** Have all approvers approved this digest, according to the record? */
function wasApproved({ approved }: GrantFacts, digest: string): boolean {
  return approved.length > 0 && approved.every((named) => named === digest);
}

/** The step of the plan whose call would be made; null: the plan has none, or another call. */
function findPlannedStep(
  plan: Plan,
  run: RunState,
  { action, at, executor, reliability }: Executing,
): Transition | OnEnter | null {
  const state = plan.states.find(({ name }) => name === run.state);
  const planned =
    at === 'onEnter' ? state?.onEnter : state?.transitions.find(({ name }) => name === action.transition);
  if (planned === undefined || planned === null || planned.executor === null) return null;
  const call = { executor: planned.executor, reliability: planned.reliability };
  return canonical(call) === canonical({ executor, reliability }) ? planned : null;
}
