import type { RecordActor } from '../../model/records.js';
import type { ServiceFact } from '../../audit/index.js';
import type { Removed } from '../../policy/index.js';
import type { PublishedFlow } from './publish.js';

// What is on record of policies and flows that come into force, and of flows that no longer start.

interface Clock {
  readonly now: () => Date;
}

/** `why`: what made it a version, where nobody sent it and no file has changed. */
export function publishedFact(
  deps: Clock,
  { name, version, hash, environment, why }: PublishedFlow & { readonly why?: string },
  { actor, permission }: Required<Pick<ServiceFact, 'actor' | 'permission'>>,
  traceId: string,
): ServiceFact {
  return {
    key: `flow.published:${name}:${version}`,
    type: 'flow.published',
    time: deps.now().toISOString(),
    actor,
    permission,
    flow: name,
    environment,
    traceId,
    data: { name, version, hash, ...(why === undefined ? {} : { why }) },
  };
}

/** `folder`: no file holds it any more, and nobody published it by the API. `policies`: with them it has an error by now. */
export function withdrawnFact({
  name,
  time,
  actor,
  traceId,
  cause,
  environment,
  why,
  refs = [],
}: Pick<ServiceFact, 'time' | 'actor' | 'refs'> & {
  readonly name: string;
  readonly traceId: string;
  readonly cause: 'asked' | 'folder' | 'policies';
  readonly environment?: string;
  readonly why?: string;
}): ServiceFact {
  return {
    key: `flow.withdrawn:${name}:${environment === undefined ? '' : `${environment}:`}${traceId}`,
    type: 'flow.withdrawn',
    time,
    actor,
    permission: cause === 'asked' ? 'flow.publish' : 'policy.reload',
    flow: name,
    ...(environment === undefined ? {} : { environment }),
    traceId,
    data: { name, cause, ...(why === undefined ? {} : { why }) },
    refs,
  };
}

export function reloadedFact(
  deps: Clock,
  {
    hash,
    created,
    removed,
  }: {
    readonly hash: string;
    readonly created: readonly PublishedFlow[];
    readonly removed: readonly Removed[];
  },
  actor: RecordActor,
  traceId: string,
): ServiceFact {
  return {
    key: `policy.reloaded:${traceId}`,
    type: 'policy.reloaded',
    time: deps.now().toISOString(),
    actor,
    permission: 'policy.reload',
    traceId,
    data: {
      hash,
      flows: created.map(({ name, version }) => `${name}@${version}`),
      removed: removed.map(({ kind, name }) => `${kind} ${name}`),
    },
  };
}
