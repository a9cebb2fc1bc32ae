import type { z } from 'zod';
import type * as api from '../../model/api.js';
import type { Json, JsonObject } from '../../model/json.js';
import type { ErrorCode } from '../../model/errors.js';
import type { DecisionDoor } from '../../model/message.js';
import { canonical } from '../../model/canonical.js';
import { isBlank } from '../../model/text.js';
import { wantsReason } from '../../engine/index.js';
import type { ApprovalState, ApprovalStatus } from '../../engine/state.js';
import { approvalWithDigest, type ApprovalRow } from '../../store/approvals.js';
import { decisionsOf, getDecision, type DecisionRow } from '../../store/decisions.js';
import { getRun } from '../../store/runs.js';
import { bodyOf, readJson, visibleApproval, type FoundApproval } from './body.js';
import { queuesNow } from './gates.js';
import { answer, effectId, principalOf, type Call, type Reply } from '../http/call.js';
import { mayDecideNow, ownDecision, ownDecisionText, verdict } from './may-decide.js';
import { problem, type Problem } from '../contract/problem.js';
import { refusal } from '../http/refusal.js';
import { runObject } from '../runs/run-body.js';
import { whileOurs } from '../http/effect.js';

type DecisionBody = z.output<typeof api.decisionBody>;

/** Slack shows an error after three seconds, though the decision is durable by then. */
const slackWaitMs = 1_500;

/** Who lost to somebody else is told to whom, and when. */
export async function decide(
  call: Call,
  id: string,
  body: DecisionBody,
  via: DecisionDoor = 'rest',
  waitMs: number | null = via === 'slack' ? slackWaitMs : null,
): Promise<Reply> {
  const reply = await attempt(call, id, body, via, waitMs);
  return reply.kind === 'problem' ? tellDecider(call, id, reply) : reply;
}

/** Checked in this order: visible, still open, approver, digest, reason (docs/spec/api.md). The run checks all of it again. */
async function attempt(
  call: Call,
  id: string,
  body: DecisionBody,
  via: DecisionDoor,
  waitMs: number | null,
): Promise<Reply> {
  const found = await visibleApproval(call, id);
  if (found.kind === 'problem') return found;
  const decisionId = effectId(call, 'dec');
  const judged = await judge(call, () => refuse(call, found, body));
  if (judged.kind === 'problem') return noted(call, id, body, judged);
  if (judged.earlier !== null && judged.earlier.status !== 'accepted') return repeated(call, judged.earlier);
  const outcome = await call.deps.client.decide({
    run: found.row.run,
    decisionId,
    approval: id,
    decision: body.decision,
    digest: body.digest ?? '',
    reason: reasonOf(body),
    principal: principalOf(call),
    via: principalOf(call).actedBy === undefined ? via : 'callback',
    whileOurs: whileOurs(call),
    ...(waitMs === null ? {} : { waitMs }),
  });
  const said = await refusal(call, found.row.run, outcome);
  const isByDoor = outcome.status === 'answered' && outcome.by === 'door';
  if (said !== null) return isByDoor ? noted(call, id, body, said) : said;
  return outcome.status === 'answered' ? applied(call, id) : accepted(decisionId);
}

/**
 * What the caller is refused with; or what this very request has decided before, which is never held against it: another
 * attempt of it may do so while `refused` looks.
 */
export async function judge(
  call: Call,
  refused: () => Promise<Problem | null>,
): Promise<{ readonly kind: 'may'; readonly earlier: DecisionRow | null } | Problem> {
  const own = (): Promise<DecisionRow | null> => getDecision(call.deps.pool, effectId(call, 'dec'));
  const earlier = await own();
  const problem = earlier === null ? await refused() : null;
  if (problem === null) return { kind: 'may', earlier };
  const meanwhile = await own();
  return meanwhile === null ? problem : { kind: 'may', earlier: meanwhile };
}

export async function tellDecider(call: Call, id: string, refused: Problem): Promise<Problem> {
  if (refused.code !== 'ALREADY_DECIDED') return refused;
  const taken = (await decisionsOf(call.deps.pool, [id])).filter((one) => one.status !== 'refused');
  const isOwn = refused.extra['why'] === 'already_decided';
  const last = isOwn ? ownDecision(taken, principalOf(call).id) : (taken.at(-1) ?? null);
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

function reasonOf({ reason }: DecisionBody): string | null {
  return reason === undefined || isBlank(reason) ? null : reason;
}

/** The first attempt of this request got through: its effect is the answer. */
function repeated(call: Call, earlier: DecisionRow): Promise<Reply> | Reply {
  if (earlier.status === 'applied') return applied(call, earlier.approval);
  return problem((earlier.code ?? 'ALREADY_DECIDED') as ErrorCode, 'the run refused this decision');
}

async function applied(call: Call, id: string): Promise<Reply> {
  const found = await visibleApproval(call, id);
  if (found.kind === 'problem') return found;
  const row = await getRun(call.deps.pool, found.row.run);
  return answer(200, {
    approval: await bodyOf(call.deps, found, call.principal),
    run: row === null ? null : runObject(row),
  });
}

function accepted(id: string): Reply {
  const href = `/v1/decisions/${id}`;
  return answer(202, { decision: { id, href, status: 'accepted' } }, { Location: href, 'Retry-After': '2' });
}

function settledCode(status: ApprovalStatus): 'ALREADY_DECIDED' | 'APPROVAL_EXPIRED' | 'APPROVAL_REVOKED' {
  if (status === 'expired') return 'APPROVAL_EXPIRED';
  return status === 'revoked' || status === 'open' || status === 'escalated'
    ? 'APPROVAL_REVOKED'
    : 'ALREADY_DECIDED';
}

export function noted(
  call: Call,
  approval: string,
  { decision }: Pick<DecisionBody, 'decision'>,
  refused: Problem,
): Problem {
  const { why } = refused.extra;
  call.facts.push({
    type: 'approval.refused',
    approval,
    data: { code: refused.code, decision, ...(typeof why === 'string' ? { why } : {}) },
  });
  return refused;
}

/** What a decision would be refused with now; null: the run would take it. */
export async function refuse(call: Call, found: FoundApproval, body: DecisionBody): Promise<Problem | null> {
  const { row, state } = found;
  return (
    (await notDecidable(call, found)) ??
    (state === null
      ? null
      : ((await digestProblem(call, state, body, row)) ?? (await reasonProblem(call, state, body))))
  );
}

/** It is still open, and the caller is one of those who may decide it. */
export async function notDecidable(call: Call, { row, state }: FoundApproval): Promise<Problem | null> {
  if (row.status !== 'open' && row.status !== 'escalated')
    return problem(settledCode(row.status), `the approval is ${row.status}: there is nothing left to decide`);
  if (state === null) return problem('APPROVAL_REVOKED', 'the run no longer holds this approval');
  return notApprover(call, state);
}

async function notApprover(call: Call, state: ApprovalState): Promise<Problem | null> {
  const principal = principalOf(call);
  const [kit, decisions] = await Promise.all([queuesNow(call.deps), decisionsOf(call.deps.pool, [state.id])]);
  const may = mayDecideNow(state, principal, kit, decisions);
  return may.status === 'yes'
    ? null
    : problem(may.why === 'already_decided' ? 'ALREADY_DECIDED' : 'NOT_AN_APPROVER', may.message, {
        why: may.why,
      });
}

async function digestProblem(
  call: Call,
  state: ApprovalState,
  { digest }: DecisionBody,
  row: ApprovalRow,
): Promise<Problem | null> {
  if (digest === undefined || digest === '') {
    return problem(
      'DIGEST_REQUIRED',
      `send \`digest\`: the one of the approval that you have seen, see GET /v1/approvals/${state.id}`,
    );
  }
  if (digest === state.action.digest) return null;
  const seen = await approvalWithDigest(call.deps.pool, row.run, digest);
  const detail = `the decision names another digest than the approval's: see what it asks for now at GET /v1/approvals/${state.id}`;
  return problem('DIGEST_MISMATCH', detail, { changed: await changes(call, digest, seen, row) });
}

/** Field by field where the digest is one of this run's own approvals, else the digests themselves. */
async function changes(
  { deps }: Call,
  digest: string,
  seen: ApprovalRow | null,
  now: ApprovalRow,
): Promise<Json> {
  const digests = { field: 'digest', decided: digest.toWellFormed(), current: now.digest };
  if (seen === null) return [digests];
  const fieldsOf = async ({ transition, doc, requestedBy }: ApprovalRow): Promise<Record<string, Json>> => ({
    transition,
    tool: doc.tool,
    tier: doc.tier,
    requestedBy,
    arguments: (await readJson(deps, doc.argumentsRef)) ?? {},
    shown: { summary: doc.summary, consequence: doc.consequence, preview: doc.preview },
  });
  const [old, current] = await Promise.all([fieldsOf(seen), fieldsOf(now)]);
  const differing = Object.keys(current).filter((key) => canonical(old[key]) !== canonical(current[key]));
  return [
    digests,
    ...differing.map((field) => ({ field, decided: old[field] ?? null, current: current[field] ?? null })),
  ];
}

async function reasonProblem(call: Call, state: ApprovalState, body: DecisionBody): Promise<Problem | null> {
  if (reasonOf(body) !== null) return null;
  if (!wantsReason(state, principalOf(call), body.decision, await queuesNow(call.deps))) return null;
  return problem('REASON_REQUIRED', 'this gate asks for a reason: send `reason`', {
    errors: [{ pointer: '/reason', message: 'is required by this gate' }],
  });
}
