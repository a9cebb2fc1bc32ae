import type { ReloadedJson } from '../../model/answer-types.js';
import type { Removed } from '../../policy/index.js';
import { actorOf, type Caller } from '../caller.js';
import { refuseCaller } from '../may.js';
import { refusal, type Refusal } from '../refusal.js';
import { flowInvalid, tooMany } from './publish-text.js';

/** Whoever reloads and then starts something in a new environment is not sent away. It is asked for again at a start. */
async function readyAll({ deps }: Caller): Promise<void> {
  const environments = (await deps.policies.policySet())?.environments ?? [];
  await Promise.all(environments.map(({ name }) => deps.engines.isReady(name)));
}

export interface Reloaded {
  readonly kind: 'reloaded';
  readonly body: ReloadedJson;
}

/** Loads the policies folder again; on an error the last good one stays. `confirm`: the names that may be taken away. */
export async function reloadPolicies(
  caller: Caller,
  confirm: readonly string[],
): Promise<Reloaded | Refusal> {
  const refused = refuseCaller(caller, 'reloadPolicies');
  if (refused !== null) return refused;
  const { deps, principal, requestId } = caller;
  const { id, kind } = principal;
  if (confirm.length > 0 && kind !== 'human')
    return refusal(
      'HUMANS_ONLY',
      `\`${id}\` (${kind}) confirms nothing: only a human takes away what holds authors and agents back; leave \`confirm\` out, or let a human reload`,
    );
  const result = await deps.policies.reload(actorOf(caller), requestId, confirm);
  if (result.status === 'busy') return tooMany();
  if (result.status === 'late')
    return refusal('POLICY_INVALID', `the policies stay as they were: ${tooLong(result.flow)}`, {}, 5);
  if (result.status === 'unconfirmed') return unconfirmed(result.removed);
  if (result.status === 'invalid')
    return flowInvalid('POLICY_INVALID', 'the policies stay as they were', result);
  await readyAll(caller);
  const flows = result.flows.map(({ name, version, created }): ReloadedJson['flows'][number] => ({
    name,
    version,
    change: created ? 'published' : 'unchanged',
  }));
  const { changed, hash, removed, withdrawn, warnings } = result;
  const told = { changed, policySet: hash, flows, removed, withdrawn, warnings };
  return { kind: 'reloaded', body: told };
}

function tooLong(flow: string | undefined): string {
  return flow === undefined
    ? 'the folder took longer to read than it may: reload again, and where that comes again divide it'
    : `\`${flow}\`, which was published by the API, takes too long to compile against them: reload again, or withdraw it before`;
}

function unconfirmed(removed: readonly Removed[]): Refusal {
  const names = removed.filter((one) => one.confirm).map((one) => `\`${one.name}\``);
  return refusal(
    'CONFIRM_REQUIRED',
    `the policies stay as they were: the folder takes away ${names.join(', ')}; if that is meant, send the names in \`confirm\``,
    { removed },
  );
}
