import type { RecordActor } from '../../model/records.js';
import type { ServiceFact } from '../../audit/index.js';
import type { Removed } from '../../policy/index.js';
import type { PublishedFlow } from './publish.js';

// The facts on record when policies and flows come into force, and when flows take no new runs any more.

interface Clock {
  readonly now: () => Date;
}

/** `why`: why there is a new version though nobody sent one and no file has changed. */
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

/**
 * `cause`: `folder`, no file holds the flow any more, and nobody published it by the API; `policies`, it has an error under
 * them.
 */
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
