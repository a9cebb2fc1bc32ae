import { z } from 'zod';
import * as api from '../model/api.js';
import * as answers from '../model/api-answers.js';
import type { Json, JsonObject } from '../model/json.js';
import { closedStatuses, type Answer as RunAnswer } from '../engine/state.js';
import { getAction, type ActionRow } from '../store/actions.js';
import { getApproval } from '../store/approvals.js';
import { findMessage } from '../store/in-flight.js';
import { answer, effectId, jsonBody, principalOf, route, type Call, type Reply, type Route } from './call.js';
import type { ApiDeps } from './deps.js';
import { notFound } from './problem.js';
import { refusal } from './refusal.js';
import { currentBody, stateOf, visibleRun } from './run-body.js';

const transitionParams = z.object({ id: api.shortText, transition: api.shortText });
/** Agents poll; this is how often they are asked to. */
const pollSeconds = '2';

export const transitionRoutes: readonly Route[] = [
  route({
    id: 'submitTransition',
    method: 'POST',
    path: '/v1/runs/{id}/transitions/{transition}',
    tag: 'Runs',
    summary: 'Submit a transition: checked, then executed at once or parked at its gate',
    permission: 'run.start',
    idempotent: true,
    params: transitionParams,
    query: api.waitQuery,
    body: jsonBody(api.submitBody),
    answers: {
      200: { description: 'executed', schema: answers.submitted },
      202: { description: 'waits at its gate, or is still executing: poll', schema: answers.submitted },
    },
    errors: [
      'GUARD_REJECTED',
      'ACTOR_MISMATCH',
      'BLOCKED',
      'STALE_VERSION',
      'RUN_BUSY',
      'RUN_STUCK',
      'RUN_CLOSED',
      'UNKNOWN_TRANSITION',
      'INPUT_INVALID',
      'EXECUTOR_FAILED',
      'ENGINE_UNAVAILABLE',
    ],
    handle: (call, { params, query, body }) => submit(call, params, body, query.wait),
  }),
  route({
    id: 'getAction',
    method: 'GET',
    path: '/v1/actions/{id}',
    tag: 'Runs',
    summary: 'What became of a submitted action: the URL to poll',
    params: z.object({ id: api.shortText }),
    query: api.noQuery,
    answers: { 200: { description: 'the action', schema: answers.action } },
    handle: (call, { params }) => readAction(call, params.id),
  }),
];

async function submit(
  call: Call,
  { id, transition }: z.output<typeof transitionParams>,
  body: z.output<typeof api.submitBody>,
  wait: number,
): Promise<Reply> {
  const found = await visibleRun(call, id);
  if (found.kind === 'problem') return found;
  const outcome = await call.deps.client.submit({
    run: id,
    messageId: effectId(call, 'msg'),
    transition,
    arguments: body.arguments ?? {},
    expectedVersion: body.expectedVersion ?? null,
    principal: principalOf(call),
    trace: body.trace ?? null,
    waitMs: wait * 1_000,
  });
  const refused = await refusal(call, id, outcome);
  if (refused !== null) return refused;
  if (outcome.status === 'answered') return settled(call, id, transition, outcome.answer);
  return executing(call, id, transition, effectId(call, 'msg'));
}

async function settled(call: Call, run: string, transition: string, said: RunAnswer): Promise<Reply> {
  if (said.status === 'executed') {
    const output = await outputOf(call.deps, said.action);
    const { body } = await currentBody(call, run);
    return answer(200, {
      result: { status: 'executed', transition: said.transition, output },
      ...body,
      chain: said.chain,
    });
  }
  if (said.status === 'pending') return pending(call, run, said);
  return executing(call, run, transition, effectId(call, 'msg'));
}

async function executing(call: Call, run: string, transition: string, messageId: string): Promise<Reply> {
  const poll = `/v1/actions/${actionOf(messageId)}`;
  const { body } = await currentBody(call, run);
  return answer(
    202,
    { result: { status: 'executing', transition, poll }, ...body },
    { Location: poll, 'Retry-After': pollSeconds },
  );
}

/** Both ids have the same digits: an action can be polled before the run has taken its message. */
function actionOf(messageId: string): string {
  return `act_${messageId.slice('msg_'.length)}`;
}

async function pending(
  call: Call,
  run: string,
  said: Extract<RunAnswer, { status: 'pending' }>,
): Promise<Reply> {
  const poll = `/v1/actions/${said.action}`;
  const row = await getApproval(call.deps.pool, said.approval);
  const { body } = await currentBody(call, run);
  const approval = {
    id: said.approval,
    href: `/v1/approvals/${said.approval}`,
    digest: row?.digest ?? '',
    roles: row?.roles ?? [],
    expiresAt: row?.expiresAt ?? '',
  };
  const result = { status: 'pending', transition: said.transition, approval, poll };
  return answer(202, { result, ...body }, { Location: poll, 'Retry-After': pollSeconds });
}

async function outputOf(deps: ApiDeps, action: string): Promise<Json> {
  const row = await getAction(deps.pool, action);
  return row === null ? null : readOutput(deps, row);
}

/** Null where nothing came out, or where its payload was erased. */
async function readOutput(deps: ApiDeps, row: ActionRow): Promise<Json> {
  const bytes = row.outputRef === null ? null : await deps.payloads.get(deps.pool, row.outputRef);
  return bytes === null ? null : (JSON.parse(bytes.toString('utf8')) as Json);
}

async function readAction(call: Call, id: string): Promise<Reply> {
  const { deps } = call;
  const row = await getAction(deps.pool, id);
  if (row === null) return inFlight(call, id);
  const found = await visibleRun(call, row.run);
  if (found.kind === 'problem') return notFound('action', id);
  const output = row.status === 'executed' ? { output: await readOutput(deps, row) } : {};
  return polled(row.status, {
    id: row.id,
    status: row.status,
    run: row.run,
    transition: row.transition,
    ...(row.tool === null ? {} : { tool: row.tool }),
    ...(row.approval === null ? {} : { approval: row.approval }),
    ...output,
    ...(row.error === null ? {} : { error: row.error as unknown as Json }),
  });
}

const unsettled: readonly string[] = ['pending', 'approved', 'executing'];

function polled(status: string, body: JsonObject): Reply {
  return answer(200, body, unsettled.includes(status) ? { 'Retry-After': pollSeconds } : {});
}

/** The run has not taken the message yet, or it took it and made no action of its own of it. */
async function inFlight(call: Call, id: string): Promise<Reply> {
  const messageId = `msg_${id.slice('act_'.length)}`;
  const message = await findMessage(call.deps.pool, messageId);
  const body = message?.payload.message.body;
  if (message === null || body?.kind !== 'submit') return notFound('action', id);
  const found = await visibleRun(call, message.run);
  if (found.kind === 'problem') return notFound('action', id);
  const said = stateOf(found.row)?.seen.find((one) => one.id === messageId)?.answer ?? null;
  const base = { id, run: message.run, transition: body.transition };
  if (said === null && closedStatuses.includes(found.row.status)) {
    return polled('failed', {
      ...base,
      status: 'failed',
      error: { code: 'RUN_CLOSED', message: `the run is ${found.row.status}` },
    });
  }
  if (said === null) return polled('executing', { ...base, status: 'executing' });
  if (said.status === 'refused')
    return polled('failed', { ...base, status: 'failed', error: { code: said.code, message: said.message } });
  // Attached to an action that was already open: that one is the answer.
  return said.status === 'accepted' || said.action === id
    ? notFound('action', id)
    : readAction(call, said.action);
}
