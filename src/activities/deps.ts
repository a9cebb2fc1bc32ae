import { giveWayBefore } from '../model/give-way.js';
import type { OnInternalError } from '../model/internal-error.js';
import type { JsonObject } from '../model/values/json.js';
import type { PolicySet } from '../model/policy-set.js';
import type { Payloads, ServiceChain } from '../audit/index.js';
import type { Pool, Queryable } from '../db/index.js';
import type { FlowPeople } from '../schema/kit.js';
import { cachePlans, cachePolicies, type FindPlan } from '../store/flows/cached.js';
import { publisherOf } from '../store/flows/flows.js';
import type { HeldValue } from '../store/runs/document.js';
import type { RunRow } from '../store/runs/runs.js';
import { verifyingKeyOf, type Keyed, type VerifyingKey } from '../auth/index.js';
import { sha256 } from './step/kit.js';

/**
 * What the activities of a run need, once per worker process. Code within a transaction passes the transaction as `q`: to take a
 * second connection while it holds its own would starve the pool.
 */
export interface ActivityDeps {
  readonly pool: Pool;
  readonly payloads: Payloads;
  /** For records about runs that are closed, or that never existed. */
  readonly serviceChain: ServiceChain;
  readonly plan: FindPlan;
  readonly policySet: (q: Queryable) => Promise<PolicySet>;
  /** Who wrote the version that the run is bound to, and who published it here. */
  readonly people: (q: Queryable, of: Pick<RunRow, 'flow' | 'flowVersion'>) => Promise<FlowPeople>;
  /** The public key of a message, or why the message is refused: its key is unknown, or was retired. */
  readonly publicKey: (message: Keyed) => VerifyingKey;
  /** Reads a value of a caller and compares it with its digest. Rejects where it was erased or changed. */
  readonly readValue: (q: Queryable, held: HeldValue) => Promise<JsonObject>;
  readonly onInternalError: OnInternalError;
  /** Called once for each step or action that waits for the store, which is away. */
  readonly onStoreWait: () => void;
}

export function makeDeps(
  pool: Pool,
  payloads: Payloads,
  serviceChain: ServiceChain,
  onInternalError: OnInternalError,
  onStoreWait: () => void = () => undefined,
): ActivityDeps {
  const inForce = cachePolicies();
  return {
    pool,
    payloads,
    serviceChain,
    onInternalError,
    onStoreWait,
    plan: cachePlans(),
    policySet: async (q) => {
      const found = await inForce(q);
      if (found === null)
        throw new Error('no policy set is loaded: start the API, which loads the policies folder');
      return found.policies.policySet;
    },
    people: async (q, { flow, flowVersion }) => {
      // Not cached: after a restore of the store, somebody else may publish under the same version number.
      const by = await publisherOf(q, flow, flowVersion);
      return { author: by, promoter: by };
    },
    publicKey: verifyingKeyOf,
    readValue: makeValueReader(payloads),
  };
}

/** Bytes of values that a process caches: values never change, and a run reads its own at each step. */
const rememberedBytes = 32 * 1024 * 1024;

function makeValueReader(payloads: Payloads): ActivityDeps['readValue'] {
  const known = new Map<string, string>();
  let bytes = 0;
  const remember = (id: string, text: string): void => {
    if (text.length > rememberedBytes / 8) return;
    known.set(id, text);
    bytes += text.length;
    for (const [oldest, forgotten] of known) {
      if (bytes <= rememberedBytes) return;
      known.delete(oldest);
      bytes -= forgotten.length;
    }
  };
  return async (q, { payload, digest }) => {
    const remembered = known.get(payload.payload);
    const text = remembered ?? (await payloads.get(q, payload))?.toString('utf8');
    if (text === undefined) throw new Error(`payload \`${payload.payload}\` of an open run was erased`);
    if (remembered === undefined) {
      if (sha256(text) !== digest)
        throw new Error(`payload \`${payload.payload}\` is not what the run holds`);
      remember(payload.payload, text);
    }
    await giveWayBefore(text.length);
    return JSON.parse(text) as JsonObject;
  };
}
