import { createHash } from 'node:crypto';
import type { z } from 'zod';
import type * as api from '../../model/contract/api.js';
import type { RunStandingJson } from '../../model/contract/answer-types.js';
import { idFromDigest } from '../../model/names/derived-ids.js';
import { escapePointer, type FieldError, type JsonObject } from '../../model/values/json.js';
import { defaultEnvironment } from '../../model/policy-set.js';
import type { Plan } from '../../engine/plan.js';
import { closedStatuses } from '../../engine/state.js';
import type { Asking, StartRequest } from '../../client/types.js';
import { compileSchema } from '../../schema/index.js';
import {
  readFlowStanding,
  flowStandingOf,
  type FlowStanding,
  type HeldVersion,
} from '../../store/flows/publications.js';
import { getListedRun, isWithdrawn, type ListedRun } from '../../store/runs/runs.js';
import { deriveId, type Caller } from '../caller.js';
import { requestBaseOf, checksOf } from '../kept-result.js';
import { refuseCaller } from '../may.js';
import { invalid, refusal, type Refusal } from '../refusal.js';
import { readStanding } from './standing.js';
import { planOf } from './links.js';
import { refuseTooFull } from './on-paper.js';
import { refusalAtDoor, unavailableRefusal } from './refused-by-run.js';
import { resultOfSubmit, type Submitted } from './submit.js';

type StartBody = z.output<typeof api.startBody>;

export type Started =
  /** `hasSettled`: the run waits for somebody, or has ended. */
  | {
      readonly kind: 'started';
      readonly run: string;
      readonly hasSettled: boolean;
      readonly body: RunStandingJson;
    }
  | Submitted
  /** If the run was started all the same, `extra.run` names it. */
  | Refusal;

/** Starts a run of a flow and, with `submit`, submits its first transition. `wait`: seconds. */
export async function startRun(
  caller: Caller,
  name: string,
  body: StartBody,
  wait: number,
): Promise<Started> {
  const refused = refuseCaller(caller, 'startRun');
  if (refused !== null) return refused;
  for (;;)
    try {
      return await startAsThingsStand(caller, name, body, wait);
    } catch (error) {
      if (!(error instanceof GoneMeanwhile)) throw error;
    }
}

async function startAsThingsStand(
  caller: Caller,
  name: string,
  body: StartBody,
  wait: number,
): Promise<Started> {
  const { id, row } = await findOwnRun(caller);
  const asked = { id, name, body, wait };
  const request = begunRequest(caller, asked, row) ?? (await newRequest(caller, asked));
  if ('kind' in request) {
    // Another attempt of this request may have begun the run meanwhile.
    const begun = begunRequest(caller, asked, await getListedRun(caller.deps.pool, id));
    return begun === null ? request : send(caller, begun, body);
  }
  return send(caller, request, body);
}

/** Thrown when the start is to be kept, but the flow takes no new runs in that environment any more: nothing is kept. */
class GoneMeanwhile extends Error {}

interface StartOrder {
  readonly id: string;
  readonly name: string;
  readonly body: StartBody;
  readonly wait: number;
}

function commonOf(
  caller: Caller,
  { id, body, wait }: StartOrder,
): Pick<StartRequest, 'run' | 'principal' | 'trace' | 'waitMs' | keyof Asking> {
  return { ...requestBaseOf(caller, wait), run: id, trace: body.trace ?? null };
}

/**
 * The start that an earlier attempt of this request has begun. It goes on with the version and plan that it began with. Null:
 * none.
 */
function begunRequest(caller: Caller, asked: StartOrder, row: ListedRun | null): StartRequest | null {
  if (row === null) return null;
  const { flow, flowVersion, planHash, environment, mode, state } = row;
  const input = asked.body.input ?? {};
  return {
    ...commonOf(caller, asked),
    ...{ flow, flowVersion, planHash, initialState: state, environment, mode, input },
  };
}

async function newRequest(caller: Caller, asked: StartOrder): Promise<StartRequest | Refusal> {
  const { name, body } = asked;
  const policySet = await caller.deps.policies.policySet();
  const declared = (policySet?.environments ?? []).map((entry) => entry.name);
  const flow = await findFlow(caller, name, body, declared);
  if ('kind' in flow) return flow;
  if (!(await caller.deps.engines.isReady(flow.environment))) return refuseNotReady(flow.environment);
  const plan = await planOf(caller.deps, flow.planHash);
  const input = checkInput(plan, body.input ?? {});
  if (input.kind === 'refusal') return input;
  const request: Omit<StartRequest, 'refuse'> = {
    ...commonOf(caller, asked),
    flow: flow.name,
    flowVersion: flow.version,
    planHash: flow.planHash,
    initialState: plan.initialState,
    environment: flow.environment,
    mode: body.mode ?? 'live',
    input: input.value,
    mayBegin: async (tx) => {
      if (refuseGone(flow, await readFlowStanding(tx, flow.name)) !== null) throw new GoneMeanwhile();
    },
  };
  if (policySet === null) return request;
  const { submit } = body;
  const first = submit === undefined ? null : { messageId: firstSubmitId(caller), submit };
  const refuse: StartRequest['refuse'] = (refs) =>
    refuseTooFull(caller, request, { plan, policySet, first }, refs);
  return { ...request, refuse };
}

/**
 * The version that is asked for; else the newest version in the environment that is named, in the only environment that holds
 * the flow, or in `dev`. If no environment holds the flow, its newest version is refused, with the reason why it takes no runs.
 */
async function findFlow(
  caller: Caller,
  name: string,
  { version, environment }: StartBody,
  declared: readonly string[],
): Promise<HeldVersion | Refusal> {
  const { pool } = caller.deps;
  const { asked, ...standing } = await flowStandingOf(pool, name, { version, environment });
  const newest = version === undefined ? findNewest(standing, name, environment, declared) : null;
  if (newest !== null && 'kind' in newest) return newest;
  const flow = newest ?? asked;
  if (flow === null) return refuseUnknown(name, { version, environment }, declared);
  return refuseStart(caller, flow, standing, declared) ?? flow;
}

/** Null: the flow is held in no environment where it could start. */
function findNewest(
  { held }: FlowStanding,
  name: string,
  environment: string | undefined,
  declared: readonly string[],
): HeldVersion | Refusal | null {
  if (environment !== undefined) return held.find((version) => version.environment === environment) ?? null;
  const places = held.filter((version) => declared.includes(version.environment));
  const only =
    places.length === 1 ? places[0] : places.find((version) => version.environment === defaultEnvironment);
  if (only !== undefined || places.length === 0) return only ?? null;
  return refuseAmbiguous(
    name,
    places.map((version) => version.environment),
  );
}

function refuseAmbiguous(name: string, held: readonly string[]): Refusal {
  const message = `\`${name}\` is published in ${held.map((place) => `\`${place}\``).join(', ')}, and not in \`${defaultEnvironment}\`: name one of them`;
  return invalid(`\`/environment\`: ${message}`, [{ pointer: '/environment', message }]);
}

async function send(caller: Caller, request: StartRequest, body: StartBody): Promise<Started> {
  if (body.submit !== undefined) return startAndSubmit(caller, request, body.submit);
  const outcome = await caller.deps.client.start(request);
  if (outcome.status === 'unavailable') return unavailableRefusal(caller, outcome.code, outcome.message);
  if (outcome.status === 'refused') return refusalAtDoor(outcome.refusal);
  const { body: run } = await readStanding(caller, request.run);
  return { kind: 'started', run: request.run, hasSettled: outcome.status === 'settled', body: run };
}

/** Answered as the submit alone would be. A refused submit leaves the run started, and the refusal names it. */
async function startAndSubmit(
  caller: Caller,
  request: StartRequest,
  { transition, arguments: given, trace }: z.output<typeof api.firstSubmit>,
): Promise<Submitted | Refusal> {
  const { run, principal, waitMs } = request;
  const messageId = firstSubmitId(caller);
  const about = { transition, arguments: given ?? {}, expectedVersion: null, trace: trace ?? null };
  const first = { run, messageId, principal, waitMs, ...checksOf(caller), ...about };
  const outcome = await caller.deps.client.startWithSubmit(request, first);
  if (outcome.status === 'unavailable')
    return sayIfBegun(caller, run, unavailableRefusal(caller, outcome.code, outcome.message));
  if (outcome.status === 'answered' && outcome.answer.status === 'refused' && outcome.by === 'door') {
    if ((await getListedRun(caller.deps.pool, run)) === null) return refusalAtDoor(outcome.answer);
  }
  const submitted = await resultOfSubmit(caller, first, outcome);
  return submitted.kind === 'refusal' ? { ...submitted, extra: { ...submitted.extra, run } } : submitted;
}

/** What `told` says of this attempt may not be so of its run, which this attempt, or one before, has started. */
async function sayIfBegun({ deps: { pool } }: Caller, run: string, told: Refusal): Promise<Refusal> {
  const row = await getListedRun(pool, run);
  if (row === null || isWithdrawn(row)) return told;
  const ended = closedStatuses.includes(row.status) ? ` and is ${row.status}` : '';
  const detail = `run \`${run}\` has been started${ended}; of this attempt: ${told.detail}`;
  return { ...told, detail, extra: { run }, isUnkept: false };
}

/**
 * Why this version takes no new run: the environment is gone, the flow is withdrawn or given up there, or another version is
 * newer.
 */
function refuseStart(
  caller: Caller,
  flow: HeldVersion,
  standing: FlowStanding,
  declared: readonly string[],
): Refusal | null {
  const { name, version, environment } = flow;
  if (standing.withdrawn === null && !declared.includes(environment))
    return refusal('NOT_FOUND', `the policies declare no environment \`${environment}\` any more`);
  const gone = refuseGone(flow, standing);
  if (gone !== null) return gone;
  const newest = standing.held.find((version) => version.environment === environment);
  if (newest === undefined || newest.version === version) return null;
  if (caller.principal.permissions.includes('flow.publish')) return null;
  return refusal(
    'VERSION_SUPERSEDED',
    `version ${version} of \`${name}\` is not the newest in environment \`${environment}\`: name the environment and no \`version\`, or start version ${newest.version}`,
    { newest: newest.version, environment, permission: 'flow.publish' },
  );
}

/** Why the flow takes no new runs: it is withdrawn, or no longer held in that environment. */
function refuseGone({ name, environment }: HeldVersion, { withdrawn, held }: FlowStanding): Refusal | null {
  if (withdrawn !== null)
    return refusal(
      'FLOW_WITHDRAWN',
      `\`${name}\` was withdrawn at ${withdrawn.at}: it takes no new runs until it is published again`,
    );
  if (held.some((version) => version.environment === environment)) return null;
  return refusal(
    'FLOW_WITHDRAWN',
    `no file and no publication holds \`${name}\` in environment \`${environment}\` any more: it takes no new runs there`,
  );
}

/** A reload has just added the environment, or Temporal does not answer. */
function refuseNotReady(environment: string): Refusal {
  return refusal(
    'ENGINE_UNAVAILABLE',
    `the workflow engine is not ready for environment \`${environment}\` yet: try again`,
    {},
    2,
  );
}

function refuseUnknown(
  name: string,
  { version, environment }: Pick<StartBody, 'version' | 'environment'>,
  declared: readonly string[],
): Refusal {
  if (environment !== undefined && !declared.includes(environment))
    return refusal(
      'NOT_FOUND',
      `the policies declare no environment \`${environment}\`: it is one of ${declared.map((name) => `\`${name}\``).join(', ')}`,
    );
  const at = `${version === undefined ? '' : ` version ${version}`}${environment === undefined ? '' : ` in environment \`${environment}\``}`;
  return refusal('NOT_FOUND', `there is no flow \`${name}\`${at}: see GET /v1/flows`);
}

/**
 * The run that this request starts: the same in each of its attempts. A start that was answered with 503 never runs (ADR 4), so
 * the attempt after that gets the next id of the same sequence.
 */
async function findOwnRun(caller: Caller): Promise<{ readonly id: string; readonly row: ListedRun | null }> {
  for (let attempt = 0; ; attempt += 1) {
    const id = attempt === 0 ? deriveId(caller, 'run') : derivedId(caller, 'run', String(attempt));
    const row = await getListedRun(caller.deps.pool, id);
    if (row === null || !isWithdrawn(row)) return { id, row };
  }
}

function firstSubmitId(caller: Caller): string {
  return derivedId(caller, 'msg', 'submit');
}

/** The same in each attempt of a request, and different for each `of`. */
function derivedId({ idBase }: Caller, prefix: 'msg' | 'run', of: string): string {
  return idFromDigest(prefix, createHash('sha256').update(`${idBase}#${of}`).digest('hex'));
}

/** Adds the schema's defaults, then checks against the schema. A flow without a schema takes no input. */
function checkInput(
  plan: Plan,
  input: JsonObject,
): { readonly kind: 'input'; readonly value: JsonObject } | Refusal {
  if (plan.inputSchema === null) {
    const errors = Object.keys(input).map((name) => ({
      pointer: `/input/${escapePointer(name)}`,
      message: 'this flow takes no input',
    }));
    return errors.length === 0 ? { kind: 'input', value: {} } : refuseInput(plan, errors);
  }
  const compiled = compileSchema(plan.inputSchema);
  if (compiled.status === 'invalid')
    throw new Error(`the input schema of \`${plan.name}\` does not compile: ${compiled.message}`);
  const checked = compiled.validate(input);
  if (checked.status === 'valid') return { kind: 'input', value: checked.value };
  return refuseInput(
    plan,
    checked.errors.map(({ pointer, message }) => ({ pointer: `/input${pointer}`, message })),
  );
}

function refuseInput(plan: Plan, errors: readonly FieldError[]): Refusal {
  const first = errors[0];
  const where = first === undefined ? '' : `: \`${first.pointer}\` ${first.message}`;
  return refusal('INPUT_INVALID', `the input does not fit the schema of \`${plan.name}\`${where}`, {
    errors,
  });
}
