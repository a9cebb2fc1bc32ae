import type { z } from 'zod';
import type { Queryable, Tx } from '../db/index.js';
import type { JsonObject } from '../model/json.js';
import { isKeyHeld, keepEffect, lockEffect, type HeldKey } from '../store/idempotency.js';
import type { StartRequest } from '../client/types.js';
import type { Caller } from './caller.js';

// A request is repeated where its process died between what it did and its answer, or nobody knows whether it did anything.
// What it makes under an id of `effectId` is found again by that id. All else that it does is kept with its idempotency key.

type CallerAndWait = Pick<StartRequest, 'principal' | 'waitMs' | 'whileOurs'>;

export interface KeptEffect<T> {
  /** What an earlier attempt of this request did; null: nothing. In a transaction, other attempts wait for its end. */
  readonly earlier: (q: Queryable) => Promise<T | null>;
  /** In the transaction that does it. */
  readonly keep: (tx: Tx, did: T) => Promise<void>;
}

/**
 * Another attempt has taken the request over, since this process was not heard of for too long: it does nothing more, and
 * that one's answer counts.
 */
export class KeyLost extends Error {}

/** Without an idempotency key every request is the first. */
export function keptEffect<T extends JsonObject>(
  { held }: Pick<Caller, 'held'>,
  schema: z.ZodType<T>,
): KeptEffect<T> {
  return {
    earlier: async (q) => {
      const found = held === null ? null : await earlierOf(q, held);
      return found === null ? null : schema.parse(found);
    },
    keep: async (tx, did) => {
      if (held !== null && !(await keepEffect(tx, held, did))) throw new KeyLost();
    },
  };
}

async function earlierOf(q: Queryable, held: HeldKey): Promise<JsonObject | null> {
  const found = await lockEffect(q, held);
  if (found.kind === 'lost') throw new KeyLost();
  return found.effect;
}

/** For what is kept under an id of the request: in that transaction, while the key is this attempt's. */
export function whileOurs({ held }: Pick<Caller, 'held'>): (tx: Tx) => Promise<void> {
  return async (tx) => {
    if (held !== null && !(await isKeyHeld(tx, held))) throw new KeyLost();
  };
}

/** What every request that a run is asked has: who asks, how long that waits (milliseconds), and whether it is still ours. */
export function askingOf(caller: Caller, waitSeconds: number): CallerAndWait {
  return { principal: caller.principal, waitMs: waitSeconds * 1_000, whileOurs: whileOurs(caller) };
}
