import { createHash } from 'node:crypto';
import { z } from 'zod';
import * as api from '../model/api.js';
import * as answers from '../model/api-answers.js';
import type { JsonObject } from '../model/json.js';
import type { Plan } from '../engine/plan.js';
import type { Trace } from '../client/types.js';
import { compileSchema } from '../schema/index.js';
import { resolveVersion } from '../store/flows.js';
import { getRun, listRuns } from '../store/runs.js';
import {
  answer,
  effectId,
  jsonBody,
  principalOf,
  route,
  viewer,
  type Call,
  type Reply,
  type Route,
} from './call.js';
import { badCursor, escapePointer, problem, type FieldError, type Problem } from './problem.js';
import { currentBody, planOf, runBody, runObject, visibleRun } from './run-body.js';
import { refusal, unavailable } from './refusal.js';

const runParams = z.object({ id: api.shortText });
const flowParams = z.object({ name: api.shortText });

export const runRoutes: readonly Route[] = [
  route({
    id: 'startRun',
    method: 'POST',
    path: '/v1/flows/{name}/runs',
    tag: 'Runs',
    summary: 'Start a run of a flow',
    permission: 'run.start',
    idempotent: true,
    params: flowParams,
    query: api.waitQuery,
    body: jsonBody(api.startBody),
    answers: {
      201: { description: 'the run has settled', schema: answers.runBody },
      202: {
        description: 'started; no worker answers yet, or it is still executing',
        schema: answers.runBody,
      },
    },
    errors: ['INPUT_INVALID', 'ENGINE_UNAVAILABLE'],
    handle: (call, { params, query, body }) => start(call, params.name, body, query.wait),
  }),
  route({
    id: 'listRuns',
    method: 'GET',
    path: '/v1/runs',
    tag: 'Runs',
    summary: 'The runs that the caller may see, newest first',
    params: z.object({}),
    query: api.runsQuery,
    answers: { 200: { description: 'a page of runs', schema: answers.pageOf(answers.run) } },
    handle: async (call, { query: { cursor = null, ...filter } }) => {
      const page = await listRuns(call.deps.pool, { ...filter, viewer: viewer(call), cursor });
      if (page === null) return badCursor();
      return answer(200, { data: page.items.map(runObject), nextCursor: page.nextCursor });
    },
  }),
  route({
    id: 'getRun',
    method: 'GET',
    path: '/v1/runs/{id}',
    tag: 'Runs',
    summary: 'A run, with the legal next steps for the caller',
    params: runParams,
    query: api.noQuery,
    answers: { 200: { description: 'the run', schema: answers.runBody } },
    handle: async (call, { params }) => {
      const found = await visibleRun(call, params.id);
      return found.kind === 'problem'
        ? found
        : answer(200, await runBody(call.deps, found.row, principalOf(call)));
    },
  }),
  operation('cancel', 'Cancel a run: what is open is revoked, an effect under way is recorded first'),
  operation('retry', 'Do again what a stuck run is stuck on'),
];

function operation(name: 'cancel' | 'retry', summary: string): Route {
  return route({
    id: `${name}Run`,
    method: 'POST',
    path: `/v1/runs/{id}/${name}`,
    tag: 'Runs',
    summary,
    permission: 'run.operate',
    idempotent: true,
    params: runParams,
    query: api.waitQuery,
    body: jsonBody(api.reasonBody),
    answers: {
      200: { description: 'the run', schema: answers.runBody },
      202: { description: 'durable, and not yet applied', schema: answers.runBody },
    },
    errors:
      name === 'retry'
        ? ['NOT_STUCK', 'RUN_CLOSED', 'RUN_BUSY', 'ENGINE_UNAVAILABLE']
        : ['RUN_CLOSED', 'ENGINE_UNAVAILABLE'],
    handle: (call, { params, query, body }) => operate(call, name, params.id, body.reason, query.wait),
  });
}

async function start(
  call: Call,
  name: string,
  body: z.output<typeof api.startBody>,
  wait: number,
): Promise<Reply> {
  const flow = await resolveVersion(call.deps.pool, name, {
    version: body.version,
    environment: body.environment,
  });
  if (flow === null) return unknownFlow(name, body);
  const plan = await planOf(call.deps, flow.planHash);
  const input = checkInput(plan, body.input ?? {});
  if (input.kind === 'problem') return input;
  const id = await runId(call);
  const outcome = await call.deps.client.start({
    run: id,
    flow: flow.name,
    flowVersion: flow.version,
    planHash: flow.planHash,
    initialState: plan.initialState,
    environment: flow.environment,
    mode: body.mode ?? 'live',
    input: input.value,
    principal: principalOf(call),
    trace: traceOf(body.trace),
    waitMs: wait * 1_000,
  });
  if (outcome.status === 'unavailable') return unavailable(outcome.code);
  const { body: run } = await currentBody(call, id);
  const location = `/v1/runs/${id}`;
  if (outcome.status === 'settled') return answer(201, run, { Location: location });
  return answer(
    202,
    { ...run, result: { status: 'executing', poll: location } },
    { Location: location, 'Retry-After': '1' },
  );
}

function unknownFlow(name: string, { version, environment }: z.output<typeof api.startBody>): Problem {
  const at = `${version === undefined ? '' : ` version ${version}`}${environment === undefined ? '' : ` in environment \`${environment}\``}`;
  return problem('NOT_FOUND', `there is no flow \`${name}\`${at}: see GET /v1/flows`);
}

/**
 * The same in every attempt of one request. A start that was answered with 503 never runs (ADR 4),
 * so an attempt after that gets the next id of the same sequence.
 */
async function runId(call: Call): Promise<string> {
  for (let attempt = 0; ; attempt += 1) {
    const id =
      attempt === 0
        ? effectId(call, 'run')
        : `run_${createHash('sha256').update(`${call.effect}#${attempt}`).digest('hex').slice(0, 32)}`;
    const row = await getRun(call.deps.pool, id);
    if (row === null || row.rev > 0 || row.status !== 'failed') return id;
  }
}

export function traceOf(given: z.output<typeof api.trace> | undefined): Trace | null {
  return given ?? null;
}

/** Schema defaults, then the schema. Without one, only nothing is accepted. */
function checkInput(
  plan: Plan,
  input: JsonObject,
): { readonly kind: 'input'; readonly value: JsonObject } | Problem {
  if (plan.inputSchema === null) {
    const errors = Object.keys(input).map((name) => ({
      pointer: `/input/${escapePointer(name)}`,
      message: 'this flow takes no input',
    }));
    return errors.length === 0 ? { kind: 'input', value: {} } : inputInvalid(plan, errors);
  }
  const compiled = compileSchema(plan.inputSchema);
  if (compiled.status === 'invalid')
    throw new Error(`the input schema of \`${plan.name}\` does not compile: ${compiled.message}`);
  const checked = compiled.validate(input);
  if (checked.status === 'valid') return { kind: 'input', value: checked.value };
  return inputInvalid(
    plan,
    checked.errors.map(({ pointer, message }) => ({ pointer: `/input${pointer}`, message })),
  );
}

function inputInvalid(plan: Plan, errors: readonly FieldError[]): Problem {
  const first = errors[0];
  const where = first === undefined ? '' : `: \`${first.pointer}\` ${first.message}`;
  return problem('INPUT_INVALID', `the input does not fit the schema of \`${plan.name}\`${where}`, {
    errors,
  });
}

async function operate(
  call: Call,
  name: 'cancel' | 'retry',
  id: string,
  reason: string,
  wait: number,
): Promise<Reply> {
  const found = await visibleRun(call, id);
  if (found.kind === 'problem') return found;
  const request = {
    run: id,
    messageId: effectId(call, 'msg'),
    reason,
    principal: principalOf(call),
    waitMs: wait * 1_000,
  };
  const outcome = await (name === 'cancel'
    ? call.deps.client.cancel(request)
    : call.deps.client.retry(request));
  const refused = await refusal(call, id, outcome);
  if (refused !== null) return refused;
  const { body } = await currentBody(call, id);
  const location = `/v1/runs/${id}`;
  if (outcome.status === 'answered') return answer(200, body);
  return answer(
    202,
    { ...body, result: { status: 'executing', poll: location } },
    { Location: location, 'Retry-After': '1' },
  );
}
