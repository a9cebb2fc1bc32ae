import type { ReloadedJson } from '../../model/contract/answer-types.js';
import { requireRights } from '../../auth/index.js';
import type { Removed } from '../../policy/index.js';
import { actorOf, type Caller } from '../caller.js';
import { refuseCaller } from '../may.js';
import { refusal, type Refusal } from '../refusal.js';
import { refuseInvalidFlow, refuseBusy } from './publish-text.js';

/** Makes new environments ready, so that a start right after the reload is not refused. A start checks again. */
async function prepareEnvironments({ deps }: Caller): Promise<void> {
  const environments = (await deps.policies.policySet())?.environments ?? [];
  await Promise.all(environments.map(({ name }) => deps.engines.isReady(name)));
}

export interface Reloaded {
  readonly kind: 'reloaded';
  readonly body: ReloadedJson;
}

/** Loads the policies folder again; on an error the policies stay as they were. `confirm`: the names that may be taken away. */
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
  // In no share of changes: one reload at a time is under way (`busy`).
  const result = await deps.policies.reload(actorOf(caller), requestId, confirm, (tx) =>
    requireRights(tx, caller.rights),
  );
  if (result.status === 'busy') return refuseBusy();
  if (result.status === 'late')
    return refusal('POLICY_INVALID', `the policies stay as they were: ${lateText(result.flow)}`, {}, 5);
  if (result.status === 'unconfirmed') return refuseUnconfirmed(result.removed);
  if (result.status === 'invalid')
    return refuseInvalidFlow('POLICY_INVALID', 'the policies stay as they were', result);
  await prepareEnvironments(caller);
  const flows = result.flows.map(({ name, version, created }): ReloadedJson['flows'][number] => ({
    name,
    version,
    change: created ? 'published' : 'unchanged',
  }));
  const { changed, hash, removed, withdrawn, warnings } = result;
  const body = { changed, policySet: hash, flows, removed, withdrawn, warnings };
  return { kind: 'reloaded', body };
}

function lateText(flow: string | undefined): string {
  return flow === undefined
    ? 'the folder took longer to read than is allowed: reload again, and if it happens again, divide the folder'
    : `\`${flow}\`, which was published by the API, takes too long to compile against them: reload again, or withdraw it before`;
}

function refuseUnconfirmed(removed: readonly Removed[]): Refusal {
  const names = removed.filter((item) => item.confirm).map((item) => `\`${item.name}\``);
  return refusal(
    'CONFIRM_REQUIRED',
    `the policies stay as they were: the folder takes away ${names.join(', ')}; if that is meant, send the names in \`confirm\``,
    { removed },
  );
}
