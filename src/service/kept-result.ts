import type { z } from 'zod';
import type { Queryable, Tx } from '../db/index.js';
import type { JsonObject } from '../model/values/json.js';
import { isKeyHeld, keepResult, lockResult, type HeldKey } from '../store/idempotency.js';
import type { Asking, StartRequest } from '../client/types.js';
import type { Caller } from './caller.js';

// A client repeats a request when the process died before it answered, or when nobody knows whether it did anything. What the
// request makes under an id of `deriveId` is found again by that id. Everything else that it does is kept with its idempotency
// key.

type CallerAndWait = Pick<StartRequest, 'principal' | 'waitMs' | keyof Asking>;

export interface KeptResult<T> {
  /** What an earlier attempt of this request did; null: nothing. In a transaction it makes other attempts wait for the end. */
  readonly earlier: (q: Queryable) => Promise<T | null>;
  /** Keeps what was done. To be called in the transaction that does it. */
  readonly keep: (tx: Tx, did: T) => Promise<void>;
}

/**
 * Another attempt has taken the request over, because this process was silent for too long: this one stops, and the other's
 * answer counts.
 */
export class KeyLost extends Error {}

/** Without an idempotency key nothing is kept, and no earlier attempt is found. */
export function makeKeptResult<T extends JsonObject>(
  { heldKey: held }: Pick<Caller, 'heldKey'>,
  schema: z.ZodType<T>,
): KeptResult<T> {
  return {
    earlier: async (q) => {
      const found = held === null ? null : await readEarlier(q, held);
      return found === null ? null : schema.parse(found);
    },
    keep: async (tx, did) => {
      if (held !== null && !(await keepResult(tx, held, did))) throw new KeyLost();
    },
  };
}

async function readEarlier(q: Queryable, held: HeldKey): Promise<JsonObject | null> {
  const found = await lockResult(q, held);
  if (found.kind === 'lost') throw new KeyLost();
  return found.result;
}

/** A check that throws `KeyLost` unless this attempt still holds the key: to be run in the transaction that keeps something. */
function ownershipCheckOf({ heldKey: held }: Pick<Caller, 'heldKey'>): (tx: Tx) => Promise<void> {
  return async (tx) => {
    if (held !== null && !(await isKeyHeld(tx, held))) throw new KeyLost();
  };
}

/** What is asked before a request to a run is kept: whether its key is still ours, and its caller's rights the same. */
export function checksOf(caller: Caller): Asking {
  return { whileOurs: ownershipCheckOf(caller), rights: caller.rights };
}

/** What every request to a run carries: who asks, how long to wait for the answer, and the checks. */
export function requestBaseOf(caller: Caller, waitSeconds: number): CallerAndWait {
  return { principal: caller.principal, waitMs: waitSeconds * 1_000, ...checksOf(caller) };
}
