import { z } from 'zod';
import * as api from '../../model/api.js';
import * as answers from '../../model/api-answers.js';
import type { Json } from '../../model/json.js';
import type { Removed } from '../../policy/index.js';
import { actorOf, answer, jsonBody, principalOf, route, type Call, type Reply } from '../http/call.js';
import { flowInvalid, tooMany } from './flows.js';
import { problem, type Problem } from '../contract/problem.js';

export const reloadRoute = route({
  id: 'reloadPolicies',
  method: 'POST',
  path: '/v1/policies/reload',
  tag: 'Flows',
  summary: 'Load the policies folder again; on an error the last good one stays',
  permission: 'policy.reload',
  params: z.object({}),
  query: api.noQuery,
  body: jsonBody(api.reloadBody),
  answers: { 200: { description: 'what changed', schema: answers.reloaded } },
  errors: ['POLICY_INVALID', 'CONFIRM_REQUIRED', 'HUMANS_ONLY', 'RATE_LIMITED'],
  handle: (call, { body }) => reload(call, body.confirm ?? []),
});

/** Whoever reloads and then starts something in a new environment is not sent away. It is asked for again at a start. */
async function readyAll({ deps }: Call): Promise<void> {
  const environments = (await deps.policies.policySet())?.environments ?? [];
  await Promise.all(environments.map(({ name }) => deps.engines.isReady(name)));
}

async function reload(call: Call, confirm: readonly string[]): Promise<Reply> {
  const { id, kind } = principalOf(call);
  if (confirm.length > 0 && kind !== 'human')
    return problem(
      'HUMANS_ONLY',
      `\`${id}\` (${kind}) confirms nothing: only a human takes away what holds authors and agents back; leave \`confirm\` out, or let a human reload`,
    );
  const result = await call.deps.policies.reload(actorOf(call), call.requestId, confirm);
  if (result.status === 'busy') return tooMany();
  if (result.status === 'late')
    return problem(
      'POLICY_INVALID',
      `the policies stay as they were: ${tooLong(result.flow)}`,
      {},
      { 'Retry-After': '5' },
    );
  if (result.status === 'unconfirmed') return unconfirmed(result.removed);
  if (result.status === 'invalid')
    return flowInvalid('POLICY_INVALID', 'the policies stay as they were', result);
  await readyAll(call);
  const flows = result.flows.map(
    ({ name, version, created }) =>
      ({ name, version, change: created ? 'published' : 'unchanged' }) satisfies Json,
  );
  const { changed, hash, removed, withdrawn, warnings } = result;
  return answer(200, { changed, policySet: hash, flows, removed, withdrawn, warnings });
}

function tooLong(flow: string | undefined): string {
  return flow === undefined
    ? 'the folder took longer to read than it may: reload again, and where that comes again divide it'
    : `\`${flow}\`, which was published by the API, takes too long to compile against them: reload again, or withdraw it before`;
}

function unconfirmed(removed: readonly Removed[]): Problem {
  const names = removed.filter((one) => one.confirm).map((one) => `\`${one.name}\``);
  return problem(
    'CONFIRM_REQUIRED',
    `the policies stay as they were: the folder takes away ${names.join(', ')}; if that is meant, send the names in \`confirm\``,
    { removed },
  );
}
