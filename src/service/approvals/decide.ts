import type { ErrorCode } from '../../model/contract/errors.js';
import type { ApprovalJson, DecisionJson, RunJson } from '../../model/contract/answer-types.js';
import type { DecisionDoor } from '../../model/message.js';
import { isBlank } from '../../model/values/text.js';
import { decisionsOf, getDecision, type DecisionRow } from '../../store/approvals/decisions.js';
import { deriveId, note, type Caller } from '../caller.js';
import { checksOf } from '../kept-result.js';
import { refuseCaller } from '../may.js';
import { notFound, refusal, type Refusal } from '../refusal.js';
import { runJson } from '../runs/standing.js';
import { visibleRun } from '../runs/visible.js';
import { isOnChain, refusalFromRun } from '../runs/refused-by-run.js';
import { bodyOf, readDecisionJson } from './body/body.js';
import { refuseDecision, tellWhoDecided, loadJudged, type Decision, type Judged } from './judge.js';
import { visibleApproval, type FoundApproval } from './look.js';

export type Decided =
  /** The run has taken the decision. */
  | { readonly kind: 'applied'; readonly approval: ApprovalJson; readonly run: RunJson }
  /** The decision is kept, and the run takes it as soon as it can be reached. */
  | { readonly kind: 'accepted'; readonly decisionId: string };

export interface Deciding {
  readonly via: DecisionDoor;
  /** How long to wait for the run's answer; 3 seconds if absent. */
  readonly waitMs?: number;
}

/** Approves or denies an approval that the caller has found. A refusal says why, and is on record. */
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
  const judged = await loadJudged(deps, found);
  const earlier = earlierDecision(caller, judged);
  const refused = earlier === null ? await refuseDecision(caller, judged, decision) : null;
  if (refused !== null) return noteRefusedDecision(caller, row.id, decision, refused);
  if (earlier !== null && earlier.status !== 'accepted') return answerRepeat(caller, judged, earlier);
  const decisionId = deriveId(caller, 'dec');
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
    ...checksOf(caller),
    ...(waitMs === undefined ? {} : { waitMs }),
  });
  const runRefusal = await refusalFromRun(caller, row.run, outcome);
  if (runRefusal === null)
    return outcome.status === 'answered' ? readApplied(caller, row.id) : { kind: 'accepted', decisionId };
  if (outcome.status === 'answered' && outcome.by === 'door')
    noteRefusedDecision(caller, row.id, decision, runRefusal);
  return runRefusal.code === 'ALREADY_DECIDED'
    ? tellWhoDecided(runRefusal, await decisionsOf(deps.pool, [row.id]), principal)
    : runRefusal;
}

/** The decision that an earlier attempt of this request has made: it is no reason to refuse the request. */
export function earlierDecision(
  caller: Caller,
  { decisions }: Pick<Judged, 'decisions'>,
): DecisionRow | null {
  const id = deriveId(caller, 'dec');
  return decisions.find((row) => row.id === id) ?? null;
}

/** An earlier attempt of this request has reached the run: what came of it is the answer. */
function answerRepeat(
  caller: Caller,
  { decisions }: Judged,
  earlier: DecisionRow,
): Promise<Decided | Refusal> | Refusal {
  if (earlier.status === 'applied') return readApplied(caller, earlier.approval);
  const code = (earlier.code ?? 'ALREADY_DECIDED') as ErrorCode;
  caller.trail.recordedByRun = isOnChain(code);
  return tellWhoDecided(refusal(code, 'the run refused this decision'), decisions, caller.principal);
}

async function readApplied(caller: Caller, id: string): Promise<Decided | Refusal> {
  const found = await visibleApproval(caller, id);
  if (found.kind === 'refusal') return found;
  const approval = await bodyOf(caller.deps, found, caller.principal);
  return { kind: 'applied', approval, run: runJson(found.run) };
}

export function noteRefusedDecision(
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

/** What became of a decision, for those who may see its run. */
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
  return { kind: 'decision', body: { ...(await readDecisionJson(deps, row)), approval: row.approval } };
}
