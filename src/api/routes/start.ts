import { createHash } from 'node:crypto';
import { z } from 'zod';
import * as api from '../../model/api.js';
import * as answers from '../../model/api-answers.js';
import { submitErrors } from '../../model/errors.js';
import type { JsonObject } from '../../model/json.js';
import type { Plan } from '../../engine/plan.js';
import type { StartRequest } from '../../client/types.js';
import { compileSchema } from '../../schema/index.js';
import { getWithdrawal, isHeld, resolveVersion, type FlowVersionRow } from '../../store/flows.js';
import { getRun } from '../../store/runs.js';
import {
  answer,
  effectId,
  jsonBody,
  principalOf,
  route,
  type Call,
  type Reply,
  type Route,
} from '../http/call.js';
import { escapePointer, problem, type FieldError, type Problem } from '../contract/problem.js';
import { currentBody, planOf } from '../runs/run-body.js';
import { unavailable } from '../http/refusal.js';
import { submitReply } from './transitions.js';
import { askingOf, whileOurs } from '../http/effect.js';

const flowParams = z.object({ name: api.shortText });

export const startRoutes: readonly Route[] = [
  route({
    id: 'startRun',
    method: 'POST',
    path: '/v1/flows/{name}/runs',
    tag: 'Runs',
    summary: 'Start a run of a flow; with `submit`, submit its first transition too and answer as that does',
    permission: 'run.start',
    idempotent: true,
    params: flowParams,
    query: api.waitQuery,
    body: jsonBody(api.startBody),
    answers: {
      200: { description: 'started, and what was submitted is executed', schema: answers.submitted },
      201: { description: 'the run has settled', schema: answers.runBody },
      202: {
        description:
          'started; no worker answers yet, or it is still executing, or what was submitted waits at its gate: poll',
        schema: z.union([answers.submitted, answers.runBody]),
      },
    },
    errors: ['FLOW_WITHDRAWN', 'VERSION_SUPERSEDED', ...submitErrors],
    handle: (call, { params, query, body }) => start(call, params.name, body, query.wait),
  }),
];

type StartBody = z.output<typeof api.startBody>;

async function start(call: Call, name: string, body: StartBody, wait: number): Promise<Reply> {
  const id = await runId(call);
  const asked = { id, name, body, wait };
  const request = (await begunRequest(call, asked)) ?? (await newRequest(call, asked));
  if ('kind' in request) {
    // Another attempt of this request may have begun it while this one looked.
    const begun = await begunRequest(call, asked);
    return begun === null ? request : send(call, begun, body);
  }
  return send(call, request, body);
}

interface Asked {
  readonly id: string;
  readonly name: string;
  readonly body: StartBody;
  readonly wait: number;
}

function commonOf(
  call: Call,
  { id, body, wait }: Asked,
): Pick<StartRequest, 'run' | 'principal' | 'trace' | 'waitMs' | 'whileOurs'> {
  return { ...askingOf(call, wait), run: id, trace: body.trace ?? null };
}

/** Begun by an earlier attempt of this request: whatever has come into force since, it goes on under what it began with. */
async function begunRequest(call: Call, asked: Asked): Promise<StartRequest | null> {
  const row = await getRun(call.deps.pool, asked.id);
  if (row === null) return null;
  const { flow, flowVersion, planHash, environment, mode, state } = row;
  const input = asked.body.input ?? {};
  return {
    ...commonOf(call, asked),
    ...{ flow, flowVersion, planHash, initialState: state, environment, mode, input },
  };
}

async function newRequest(call: Call, asked: Asked): Promise<StartRequest | Problem> {
  const { name, body } = asked;
  const { version, environment } = body;
  const flow = await resolveVersion(call.deps.pool, name, { version, environment });
  if (flow === null) return unknownFlow(name, body);
  const refused = await refuseStart(call, flow);
  if (refused !== null) return refused;
  if (!(await call.deps.engines.isReady(flow.environment))) return notReady(flow.environment);
  const plan = await planOf(call.deps, flow.planHash);
  const input = checkInput(plan, body.input ?? {});
  if (input.kind === 'problem') return input;
  return {
    ...commonOf(call, asked),
    flow: flow.name,
    flowVersion: flow.version,
    planHash: flow.planHash,
    initialState: plan.initialState,
    environment: flow.environment,
    mode: body.mode ?? 'live',
    input: input.value,
  };
}

async function send(call: Call, request: StartRequest, body: StartBody): Promise<Reply> {
  if (body.submit !== undefined) return startAndSubmit(call, request, body.submit);
  const outcome = await call.deps.client.start(request);
  if (outcome.status === 'unavailable') return unavailable(call, outcome.code);
  if (outcome.status === 'refused') return problem(outcome.refusal.code, outcome.refusal.message);
  const { body: run } = await currentBody(call, request.run);
  const location = `/v1/runs/${request.run}`;
  if (outcome.status === 'settled') return answer(201, run, { Location: location });
  return answer(
    202,
    { ...run, result: { status: 'executing', poll: location } },
    { Location: location, 'Retry-After': '1' },
  );
}

/** Answered as the submit alone would be. The run stands where it is refused, and the refusal says which. */
async function startAndSubmit(
  call: Call,
  request: StartRequest,
  { transition, arguments: given, trace }: z.output<typeof api.firstSubmit>,
): Promise<Reply> {
  const { run, principal, waitMs } = request;
  const messageId = `msg_${derived(call, 'submit')}`;
  const about = { transition, arguments: given ?? {}, expectedVersion: null, trace: trace ?? null };
  const first = { run, messageId, principal, waitMs, whileOurs: whileOurs(call), ...about };
  const outcome = await call.deps.client.startWithSubmit(request, first);
  if (outcome.status === 'unavailable') return unavailable(call, outcome.code, outcome.message);
  if (outcome.status === 'answered' && outcome.answer.status === 'refused' && outcome.by === 'door') {
    const { code, message: why } = outcome.answer;
    if ((await getRun(call.deps.pool, run)) === null) return problem(code, why);
  }
  const reply = await submitReply(call, first, outcome);
  if (reply.kind !== 'problem') return reply;
  return {
    ...reply,
    extra: { ...reply.extra, run },
    headers: { ...reply.headers, Location: `/v1/runs/${run}` },
  };
}

/** New runs are of the newest version of their environment, and of no flow that was withdrawn or given up there. */
async function refuseStart(
  call: Call,
  { name, version, environment }: FlowVersionRow,
): Promise<Problem | null> {
  const withdrawn = await getWithdrawal(call.deps.pool, name);
  if (withdrawn !== null)
    return problem(
      'FLOW_WITHDRAWN',
      `\`${name}\` was withdrawn at ${withdrawn.at}: it takes no new runs until it is published again`,
    );
  const declared = (await call.deps.policies.policySet())?.environments ?? [];
  if (!declared.some((one) => one.name === environment))
    return problem('NOT_FOUND', `the policies declare no environment \`${environment}\` any more`);
  if (!(await isHeld(call.deps.pool, { name, environment })))
    return problem(
      'FLOW_WITHDRAWN',
      `no file and no publication holds \`${name}\` in environment \`${environment}\` any more: it takes no new runs there`,
    );
  const newest = await resolveVersion(call.deps.pool, name, { environment });
  if (newest === null || newest.version === version) return null;
  if (principalOf(call).permissions.includes('flow.publish')) return null;
  return problem(
    'VERSION_SUPERSEDED',
    `version ${version} of \`${name}\` is not the newest in environment \`${environment}\`: leave \`version\` out, or start version ${newest.version}`,
    { newest: newest.version, permission: 'flow.publish' },
  );
}

/** A reload has added it, or Temporal is away. */
function notReady(environment: string): Problem {
  return problem(
    'ENGINE_UNAVAILABLE',
    `the workflow engine is not ready for environment \`${environment}\` yet: try again`,
    {},
    { 'Retry-After': '2' },
  );
}

function unknownFlow(name: string, { version, environment }: StartBody): Problem {
  const at = `${version === undefined ? '' : ` version ${version}`}${environment === undefined ? '' : ` in environment \`${environment}\``}`;
  return problem('NOT_FOUND', `there is no flow \`${name}\`${at}: see GET /v1/flows`);
}

/**
 * The same in every attempt of one request. A start that was answered with 503 never runs (ADR 4),
 * so an attempt after that gets the next id of the same sequence.
 */
async function runId(call: Call): Promise<string> {
  for (let attempt = 0; ; attempt += 1) {
    const id = attempt === 0 ? effectId(call, 'run') : `run_${derived(call, String(attempt))}`;
    const row = await getRun(call.deps.pool, id);
    if (row === null || row.rev > 0 || row.status !== 'failed') return id;
  }
}

/** 32 hex digits: the same in every attempt of one request, and others for each `of`. */
function derived({ effect }: Call, of: string): string {
  return createHash('sha256').update(`${effect}#${of}`).digest('hex').slice(0, 32);
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
