import { isUtf8 } from 'node:buffer';
import { z } from 'zod';
import * as api from '../../model/api.js';
import * as answers from '../../model/api-answers.js';
import type { Json, JsonObject } from '../../model/json.js';
import type { Finding, ReadyCheck } from '../../policy/index.js';
import {
  describeFlow,
  getFlowVersion,
  getWithdrawal,
  listFlows,
  listVersions,
  withdrawFlow,
  type FlowVersionRow,
  type Withdrawal,
} from '../../store/flows.js';
import { readText } from '../approvals/body.js';
import {
  actorOf,
  answer,
  flowBody,
  jsonBody,
  route,
  type Call,
  type FlowText,
  type Reply,
  type Route,
} from '../http/call.js';
import { keptEffect } from '../http/effect.js';
import { diffPlans } from '../flows/diff.js';
import { graphOf } from '../flows/graph.js';
import { valueProblem } from '../http/json-text.js';
import { badCursor, notFound, problem, type Problem } from '../contract/problem.js';
import { withdrawnFact } from '../flows/policy-facts.js';
import { publishedFlow, type PublishedFlow } from '../flows/publish.js';
import { reloadRoute } from './reload.js';
import { floorsIn, planOf } from '../runs/run-body.js';

const nameParams = z.object({ name: api.shortText });
const versionParams = z.object({ name: api.shortText, version: api.indexText });

export const flowRoutes: readonly Route[] = [
  route({
    id: 'publishFlow',
    method: 'POST',
    path: '/v1/flows',
    tag: 'Flows',
    summary: 'Publish a version of exactly one flow, as JSON or YAML',
    permission: 'flow.publish',
    idempotent: true,
    params: z.object({}),
    query: api.noQuery,
    body: flowBody,
    answers: {
      200: { description: 'that exact content is already published', schema: answers.published },
      201: { description: 'published', schema: answers.published },
    },
    errors: ['FLOW_INVALID', 'RATE_LIMITED'],
    handle: (call, { body }) => publish(call, body),
  }),
  route({
    id: 'checkFlow',
    method: 'POST',
    path: '/v1/flows/check',
    tag: 'Flows',
    summary: 'The same validation without publishing',
    params: z.object({}),
    query: api.noQuery,
    body: flowBody,
    answers: { 200: { description: 'what the validation found', schema: answers.checked } },
    errors: ['RATE_LIMITED'],
    handle: async (call, { body }) => {
      const found = await check(call, body, 'check');
      if ('kind' in found) return found;
      const errors = found.status === 'invalid' ? found.errors : [];
      const { warnings } = found.status === 'invalid' ? found : found.flow;
      return answer(200, { valid: found.status === 'valid', errors, warnings });
    },
  }),
  route({
    id: 'listFlows',
    method: 'GET',
    path: '/v1/flows',
    tag: 'Flows',
    summary: 'The latest version of each flow',
    permission: 'flow.read',
    params: z.object({}),
    query: api.pageQuery,
    answers: { 200: { description: 'a page of flows', schema: answers.pageOf(answers.flowSummary) } },
    handle: async (call, { query }) => {
      const page = await listFlows(call.deps.pool, query.limit, query.cursor ?? null);
      if (page === null) return badCursor();
      const data = await Promise.all(
        page.items.map(async (one) => ({ ...one, withdrawn: await withdrawalBody(call, one.withdrawn) })),
      );
      return answer(200, { data, nextCursor: page.nextCursor });
    },
  }),
  route({
    id: 'getFlow',
    method: 'GET',
    path: '/v1/flows/{name}',
    tag: 'Flows',
    summary: 'A flow and its versions',
    permission: 'flow.read',
    params: nameParams,
    query: api.noQuery,
    answers: { 200: { description: 'the flow', schema: answers.flow } },
    handle: (call, { params }) => readFlow(call, params.name),
  }),
  route({
    id: 'getFlowVersion',
    method: 'GET',
    path: '/v1/flows/{name}/versions/{version}',
    tag: 'Flows',
    summary: 'One version: definition, compiled plan and graph',
    permission: 'flow.read',
    params: versionParams,
    query: api.noQuery,
    answers: { 200: { description: 'the version', schema: answers.flowVersion } },
    handle: (call, { params }) => readVersion(call, params),
  }),
  route({
    id: 'withdrawFlow',
    method: 'POST',
    path: '/v1/flows/{name}/withdraw',
    tag: 'Flows',
    summary: 'No new runs of this flow from now on, until it is published again; runs under way go on',
    permission: 'flow.publish',
    idempotent: true,
    params: nameParams,
    query: api.noQuery,
    body: jsonBody(api.reasonBody),
    answers: { 200: { description: 'the flow', schema: answers.flow } },
    errors: ['FLOW_WITHDRAWN'],
    handle: (call, { params, body }) => withdraw(call, params.name, body.reason),
  }),
  route({
    id: 'diffFlow',
    method: 'GET',
    path: '/v1/flows/{name}/diff',
    tag: 'Flows',
    summary: 'What changed between two versions, and what it permits: widest first',
    permission: 'flow.read',
    params: nameParams,
    query: api.diffQuery,
    answers: { 200: { description: 'the differences', schema: answers.flowDiff } },
    handle: (call, { params, query }) => diff(call, params.name, query),
  }),
  reloadRoute,
];

async function publish(call: Call, body: FlowText): Promise<Reply> {
  const effect = keptEffect(call, publishedFlow);
  const earlier = await effect.earlier(call.deps.pool);
  // Whatever has come into force since: its version may be neither the newest nor valid by now.
  if (earlier !== null) {
    const row = await getFlowVersion(call.deps.pool, earlier.name, earlier.version);
    return publishedAnswer(earlier, row?.warnings ?? []);
  }
  for (let turn = 0; turn < mostTurns; turn += 1) {
    const checked = await check(call, body, 'publish');
    if ('kind' in checked) return checked;
    if (checked.status === 'invalid') return flowInvalid('FLOW_INVALID', notPublished, checked);
    const made = await call.deps.policies.publish(checked.flow, actorOf(call), call.requestId, effect);
    if (made === null) continue;
    if ('tooMany' in made) return problem('TOO_LARGE', made.tooMany);
    return publishedAnswer(made, checked.flow.warnings as unknown as Json);
  }
  return tooMany('other policies come into force again and again: try again');
}

function publishedAnswer({ created, ...made }: PublishedFlow, warnings: Json): Reply {
  const location = `/v1/flows/${encodeURIComponent(made.name)}/versions/${made.version}`;
  return answer(created ? 201 : 200, { ...made, warnings }, { Location: location });
}

/** A flow is checked again so often where other policies come into force as it is. */
const mostTurns = 3;

const notPublished = 'the flow is not published';

type Invalid = Extract<ReadyCheck, { status: 'invalid' }>;

export function flowInvalid(
  code: 'FLOW_INVALID' | 'POLICY_INVALID',
  what: string,
  { errors, warnings }: Invalid,
  retryAfter?: string,
): Problem {
  const first = errors[0];
  const file = first?.file === null || first?.file === undefined ? '' : `\`${first.file}\`, `;
  const where =
    first === undefined ? '' : `: ${file}line ${first.line}, column ${first.column}: ${first.message}`;
  const headers = retryAfter === undefined ? {} : { 'Retry-After': retryAfter };
  return problem(code, `${what}${where}`, { errors, warnings }, headers);
}

async function check(
  call: Call,
  { bytes, media }: FlowText,
  to: 'check' | 'publish',
): Promise<ReadyCheck | Problem> {
  const text = isUtf8(bytes) ? new TextDecoder().decode(bytes) : null;
  if (text === null) return refuseText('UNREADABLE', 'the text is not UTF-8');
  if (text.includes('\u0000'))
    return refuseText('MALFORMED', 'the text holds the character U+0000: take it out');
  const checked = await call.deps.policies.check(text, media, { principal: actorOf(call).id, to });
  if (checked.status === 'late')
    return to === 'check' ? late : flowInvalid('FLOW_INVALID', notPublished, late, '5');
  if (checked.status === 'busy') return tooMany();
  if (checked.status === 'invalid') return checked;
  const odd = valueProblem(JSON.parse(checked.flow.definition) as Json, '');
  return odd === null ? checked : refuseText('MALFORMED', `\`${odd.pointer}\` ${odd.message}`, odd.pointer);
}

export function tooMany(
  detail = 'as many checks are waiting as this process takes, or takes of one principal: try again',
): Problem {
  return problem('RATE_LIMITED', detail, {}, { 'Retry-After': '2' });
}

/** By the clock: a process that was stopped, or a busy machine, is no mistake in the flow. */
const late = refuseText(
  'TOO_LARGE',
  'the flow took longer to check than a check may take: try again, and where that comes again split it, or say less in one place',
);

function refuseText(code: 'MALFORMED' | 'UNREADABLE' | 'TOO_LARGE', message: string, path = ''): Invalid {
  const found: Finding = { code, path, line: 1, column: 1, message };
  return { status: 'invalid', errors: [found], warnings: [] };
}

/** `versions` come newest first; who owns it and what it does is what the newest says. */
async function readFlow(call: Call, name: string): Promise<Reply> {
  const { pool } = call.deps;
  const [newest, rows] = await Promise.all([describeFlow(pool, name), listVersions(pool, name)]);
  if (newest === null) return notFound('flow', name);
  const versions = rows.map(({ version, hash, environment, publishedAt, publishedBy }) => ({
    version,
    hash,
    environments: [environment],
    publishedAt,
    publishedBy,
  }));
  const withdrawn = await withdrawalBody(call, await getWithdrawal(call.deps.pool, name));
  return answer(200, { name, owner: newest.owner, description: newest.description, withdrawn, versions });
}

async function withdrawalBody(call: Call, withdrawn: Withdrawal | null): Promise<JsonObject | null> {
  if (withdrawn === null) return null;
  const { by, at, reasonRef } = withdrawn;
  return { by, at, reason: await readText(call.deps, reasonRef) };
}

const withdrawnEffect = z.object({ withdrawn: z.string() });

/** Answered with the flow as it is: where this was repeated, somebody may have published it since. */
async function withdraw(call: Call, name: string, reason: string): Promise<Reply> {
  const { deps } = call;
  if ((await describeFlow(deps.pool, name)) === null) return notFound('flow', name);
  const [time, actor] = [deps.now().toISOString(), actorOf(call)];
  const effect = keptEffect(call, withdrawnEffect);
  const isDone = await deps.transaction(async (tx) => {
    if ((await effect.earlier(tx)) !== null) return true;
    if (((await getWithdrawal(tx, name))?.reasonRef ?? null) !== null) return false;
    const reasonRef = await deps.payloads.put(tx, '', 'reason', 'text/plain', reason);
    if (!(await withdrawFlow(tx, name, { reasonRef, by: actor.id, at: time }))) return false;
    const traceId = call.requestId;
    await deps.chain.appendIn(tx, [
      withdrawnFact({ name, time, actor, traceId, cause: 'asked', refs: [reasonRef] }),
    ]);
    await effect.keep(tx, { withdrawn: name });
    return true;
  });
  return isDone
    ? readFlow(call, name)
    : problem('FLOW_WITHDRAWN', `\`${name}\` is withdrawn already: publishing it again ends that`);
}

/** The store numbers versions with 32 bits: what is beyond is a version that does not exist. */
async function findVersion(call: Call, name: string, version: number): Promise<FlowVersionRow | null> {
  return version > 2_147_483_647 ? null : getFlowVersion(call.deps.pool, name, version);
}

async function readVersion(call: Call, { name, version }: z.output<typeof versionParams>): Promise<Reply> {
  const row = await findVersion(call, name, version);
  if (row === null) return notFound('version', `${name} ${version}`);
  const plan = await planOf(call.deps, row.planHash);
  const { hash, planHash, environment, owner, description, publishedAt, publishedBy, warnings, source } = row;
  const fields = {
    name,
    version,
    hash,
    planHash,
    environment,
    owner,
    description,
    publishedAt,
    publishedBy,
    withdrawn: await withdrawalBody(call, await getWithdrawal(call.deps.pool, name)),
    warnings,
    source,
  };
  return answer(200, {
    ...fields,
    definition: JSON.parse(row.definition) as JsonObject,
    plan,
    graph: await graphOf(plan, await floorsIn(call.deps, environment)),
  });
}

async function diff(call: Call, name: string, { from, to }: z.output<typeof api.diffQuery>): Promise<Reply> {
  const [one, other] = await Promise.all([findVersion(call, name, from), findVersion(call, name, to)]);
  if (one === null || other === null) return notFound('version', `${name} ${one === null ? from : to}`);
  const [before, after] = await Promise.all([
    planOf(call.deps, one.planHash),
    planOf(call.deps, other.planHash),
  ]);
  return answer(200, { name, from, to, ...(await diffPlans(before, after)) });
}
