import type { ReadyJson } from '../model/answer-types.js';
import { policySetHash } from '../store/policy.js';
import type { ServiceDeps } from './deps.js';
import { inNumbers, inWords, warnings } from './flows/warnings.js';

const patienceMs = 3_000;

interface Readiness {
  /** Postgres and Temporal answer; `body` also says whether a worker does. */
  readonly isReady: boolean;
  readonly body: ReadyJson;
}

/** Anybody may know how many references have no value; which, who `operates`. */
export async function readReadiness(deps: ServiceDeps, operates: () => Promise<boolean>): Promise<Readiness> {
  const [postgres, engine, unserved, warned] = await Promise.all([
    within(
      policySetHash(deps.pool).then(
        (hash) => hash !== null,
        () => false,
      ),
      false,
    ),
    within(
      deps.client.health().catch(() => ({ temporal: false, worker: false })),
      { temporal: false, worker: false },
    ),
    within(
      unservedEnvironments(deps).catch(() => null),
      null,
    ),
    within(
      told(deps, operates).catch(() => []),
      [],
    ),
  ]);
  const worker = engine.worker && unserved !== null && unserved.length === 0;
  const body = {
    api: true,
    postgres,
    temporal: engine.temporal,
    worker,
    ...(unserved === null || unserved.length === 0 ? {} : { unserved }),
    ...(warned.length === 0 ? {} : { warnings: warned }),
  };
  return { isReady: postgres && engine.temporal, body };
}

async function told(deps: ServiceDeps, operates: () => Promise<boolean>): Promise<readonly string[]> {
  const found = await warnings(deps);
  return (await operates()) ? inWords(found) : inNumbers(found);
}

async function unservedEnvironments({ policies, engines }: ServiceDeps): Promise<readonly string[]> {
  const environments = (await policies.policySet())?.environments ?? [];
  return engines.unserved(environments.map(({ name }) => name));
}

async function within<T>(asked: Promise<T>, otherwise: T): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<T>((resolve) => {
    timer = setTimeout(() => resolve(otherwise), patienceMs);
  });
  try {
    return await Promise.race([asked, late]);
  } finally {
    clearTimeout(timer);
  }
}
