import type { Pool } from '../../db/index.js';
import { countKeyUse } from '../../store/idempotency.js';

// Limits of a principal in 24 hours: its idempotency keys, and the bytes of the answers kept under them.

export const mostKeys = 100_000;
export const mostKeptBytes = 536_870_912;

export interface KeyBudget {
  readonly mayAdd: boolean;
  readonly keys: number;
  /** When the oldest key expires. */
  readonly until: string | null;
}

interface Use {
  keys: number;
  bytes: number;
  readonly until: string | null;
  readonly countedAt: number;
  added: number;
}

/** Counting in the store costs more than adding to a known count. So a count may be off by so many keys, or be so old. */
const countedForKeys = 500;
const countedForMs = 60_000;
const overForMs = 5_000;
const mostPrincipals = 10_000;

interface Uses {
  readonly counted: Map<string, Use>;
  /** The counting under way for each principal: one at a time. */
  readonly counting: Map<string, Promise<Use>>;
}

const stores = new WeakMap<Pool, Uses>();

export async function keyBudget(pool: Pool, principal: string, now: Date): Promise<KeyBudget> {
  const use = await currentUse(pool, principal, now.getTime());
  return { mayAdd: !isOver(use), keys: use.keys, until: use.until };
}

export function noteKey(pool: Pool, principal: string): void {
  const use = stores.get(pool)?.counted.get(principal);
  if (use === undefined) return;
  use.keys += 1;
  use.added += 1;
}

export function noteKept(pool: Pool, principal: string, bytes: number): void {
  const use = stores.get(pool)?.counted.get(principal);
  if (use !== undefined) use.bytes += bytes;
}

function isOver({ keys, bytes }: Use): boolean {
  return keys >= mostKeys || bytes >= mostKeptBytes;
}

function currentUse(pool: Pool, principal: string, now: number): Promise<Use> {
  const uses: Uses = stores.get(pool) ?? { counted: new Map(), counting: new Map() };
  stores.set(pool, uses);
  const known = uses.counted.get(principal);
  if (known !== undefined && isFresh(known, now)) return Promise.resolve(known);
  const underWay = uses.counting.get(principal);
  if (underWay !== undefined) return underWay;
  const asked = countUse(pool, principal, now, uses).finally(() => uses.counting.delete(principal));
  uses.counting.set(principal, asked);
  return asked;
}

async function countUse(pool: Pool, principal: string, now: number, { counted }: Uses): Promise<Use> {
  const use = { ...(await countKeyUse(pool, principal, 2 * mostKeys)), countedAt: now, added: 0 };
  if (counted.size >= mostPrincipals) counted.clear();
  counted.set(principal, use);
  return use;
}

function isFresh(use: Use, now: number): boolean {
  return use.added < countedForKeys && now - use.countedAt < (isOver(use) ? overForMs : countedForMs);
}
