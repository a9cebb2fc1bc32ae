import type { ReadyJson } from '../model/contract/answer-types.js';
import { policySetHash } from '../store/flows/policy.js';
import type { Principal } from '../model/principal.js';
import type { ServiceDeps } from './deps.js';
import { refuseCaller } from './may.js';
import { warningCounts, warningLines, findWarnings } from './flows/warnings.js';

const patienceMs = 3_000;

interface Readiness {
  /** Postgres and Temporal answer. Whether a worker does is only in `body`. */
  readonly isReady: boolean;
  readonly body: ReadyJson;
}

/** Gives who asks; null: nobody who is known. */
type ReadPrincipal = () => Promise<Principal | null>;

/** Anybody may know how many references have no value; which ones, only who may use `listWarnings`. */
export async function readReadiness(deps: ServiceDeps, readPrincipal: ReadPrincipal): Promise<Readiness> {
  const [postgres, engine, unserved, warned] = await Promise.all([
    withTimeout(
      policySetHash(deps.pool).then(
        (hash) => hash !== null,
        () => false,
      ),
      false,
    ),
    withTimeout(
      deps.client.health().catch(() => ({ temporal: false, worker: false })),
      { temporal: false, worker: false },
    ),
    withTimeout(
      unservedEnvironments(deps).catch(() => null),
      null,
    ),
    withTimeout(
      readWarnings(deps, readPrincipal).catch(() => []),
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

async function readWarnings(deps: ServiceDeps, readPrincipal: ReadPrincipal): Promise<readonly string[]> {
  const found = await findWarnings(deps);
  const principal = await readPrincipal();
  const mayList = principal !== null && refuseCaller({ principal }, 'listWarnings') === null;
  return mayList ? warningLines(found) : warningCounts(found);
}

async function unservedEnvironments({ policies, engines }: ServiceDeps): Promise<readonly string[]> {
  const environments = (await policies.policySet())?.environments ?? [];
  return engines.unserved(environments.map(({ name }) => name));
}

async function withTimeout<T>(asked: Promise<T>, otherwise: T): Promise<T> {
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
