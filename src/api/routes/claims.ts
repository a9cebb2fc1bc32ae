import { z } from 'zod';
import * as api from '../../model/api.js';
import * as inbox from '../../model/api-inbox-answers.js';
import { isBlank } from '../../model/text.js';
import { deleteClaim, insertDelegation, putClaim } from '../../store/claims.js';
import { decisionsOf } from '../../store/decisions.js';
import { bodyOf, visibleApproval, type FoundApproval } from '../approvals/body.js';
import { queuesNow } from '../approvals/gates.js';
import { recordAbout } from '../approvals/view.js';
import { answer, jsonBody, principalOf, route, type Call, type Reply, type Route } from '../http/call.js';
import { notDecidable, tellDecider } from '../approvals/decide.js';
import { mayDecideNow } from '../approvals/may-decide.js';
import { knownPerson } from '../approvals/people.js';
import { problem, type Problem } from '../contract/problem.js';

const each = {
  method: 'POST',
  tag: 'Approvals',
  params: z.object({ id: api.shortText }),
  query: api.noQuery,
  answers: { 200: { description: 'the approval', schema: inbox.approval } },
  errors: ['NOT_AN_APPROVER', 'ALREADY_DECIDED', 'APPROVAL_REVOKED', 'APPROVAL_EXPIRED'],
} as const;

/** None of these decides, blocks a decision, or gives a right: they say who is at it. */
export const claimRoutes: readonly Route[] = [
  route({
    ...each,
    id: 'claimApproval',
    path: '/v1/approvals/{id}/claim',
    summary:
      'Say that you are looking at it, for 15 minutes unless `for` says otherwise. Others may decide it all the same',
    body: jsonBody(api.claimBody),
    handle: (call, { params, body }) => claim(call, params.id, body.for ?? defaultClaimMs),
  }),
  route({
    ...each,
    id: 'releaseApproval',
    path: '/v1/approvals/{id}/release',
    summary: 'Say that you no longer look at it',
    errors: [],
    handle: (call, { params }) => release(call, params.id),
  }),
  route({
    ...each,
    id: 'delegateApproval',
    path: '/v1/approvals/{id}/delegate',
    summary: 'Hand it to a person who may decide it. That gives no right, and takes none',
    body: jsonBody(api.delegateBody),
    errors: [...each.errors, 'DELEGATE_UNFIT'],
    handle: (call, { params, body }) => delegate(call, params.id, body),
  }),
];

const defaultClaimMs = 15 * 60_000;

/** Visible, open, and the caller's to decide: the run's own rule, asked here. */
async function decidableApproval(call: Call, id: string): Promise<FoundApproval | Problem> {
  const found = await visibleApproval(call, id);
  if (found.kind === 'problem') return found;
  const refused = await notDecidable(call, found);
  return refused === null ? found : tellDecider(call, id, refused);
}

async function claim(call: Call, id: string, termMs: number): Promise<Reply> {
  const found = await decidableApproval(call, id);
  if (found.kind === 'problem') return found;
  const now = call.deps.now();
  const until = new Date(now.getTime() + termMs).toISOString();
  await call.deps.transaction(async (tx) => {
    await putClaim(tx, {
      approval: id,
      principal: principalOf(call).id,
      claimedAt: now.toISOString(),
      until,
    });
    await recordAbout(call, tx, 'approval.claimed', found, { data: { until } });
  });
  return answer(200, await bodyOf(call.deps, found, call.principal));
}

/** Whoever may see it may let go of it: also when it is decided meanwhile, or the role is gone. */
async function release(call: Call, id: string): Promise<Reply> {
  const found = await visibleApproval(call, id);
  if (found.kind === 'problem') return found;
  const now = call.deps.now().toISOString();
  await call.deps.transaction(async (tx) => {
    const held = await deleteClaim(tx, { approval: id, principal: principalOf(call).id, now });
    if (held) await recordAbout(call, tx, 'approval.released', found, { data: {} });
  });
  return answer(200, await bodyOf(call.deps, found, call.principal));
}

async function delegate(
  call: Call,
  id: string,
  { to, note }: z.output<typeof api.delegateBody>,
): Promise<Reply> {
  const found = await decidableApproval(call, id);
  if (found.kind === 'problem') return found;
  const why = await unfit(call, found, to);
  if (why !== null) return why;
  const { id: by } = principalOf(call);
  const text = note === undefined || isBlank(note) ? null : note;
  await call.deps.transaction(async (tx) => {
    const noteRef =
      text === null ? null : await call.deps.payloads.put(tx, found.row.run, 'reason', 'text/plain', text);
    const at = call.deps.now().toISOString();
    const made = await insertDelegation(tx, { approval: id, delegate: to, delegatedBy: by, noteRef, at });
    if (!made) return;
    const refs = noteRef === null ? {} : { refs: [noteRef] };
    await recordAbout(call, tx, 'approval.delegated', found, { data: { to }, ...refs });
  });
  return answer(200, await bodyOf(call.deps, found, call.principal));
}

/** Who is named must be able to decide it as things stand; the run asks again when that person does. */
async function unfit(call: Call, { state }: FoundApproval, to: string): Promise<Problem | null> {
  if (to === principalOf(call).id) return refusedDelegate(to, 'self', 'it is yours already');
  const person = await knownPerson(call, to);
  if (person === null)
    return refusedDelegate(to, 'unknown', 'nobody of this name has a key or has signed in here');
  if (person.kind !== 'human')
    return refusedDelegate(to, 'not_human', `only a human decides, and this is of kind ${person.kind}`);
  if (person.credentials.length === 0)
    return refusedDelegate(
      to,
      'no_credential',
      'no key of this person is valid, and it has not signed in within a day',
    );
  if (state === null) return refusedDelegate(to, 'closed', 'the run no longer holds this approval');
  const [kit, decisions] = await Promise.all([queuesNow(call.deps), decisionsOf(call.deps.pool, [state.id])]);
  const asked = person.credentials.map((one) => mayDecideNow(state, one, kit, decisions));
  const no = asked.find((one) => one.status === 'no');
  if (asked.some((one) => one.status === 'yes') || no === undefined) return null;
  return refusedDelegate(to, no.why, no.message);
}

export function refusedDelegate(to: string, why: string, because: string): Problem {
  return problem('DELEGATE_UNFIT', `\`${to}\` cannot stand in: ${because}`, { why });
}
