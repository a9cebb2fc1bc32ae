import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { lastingRights } from '../../testing/rights.js';
import { newId } from '../../src/model/names/ids.js';
import { newTrail, type Caller } from '../../src/service/caller.js';
import type { Refusal } from '../../src/service/refusal.js';
import { makeGround, type Ground } from '../api/harness.js';

export { makeGround, type Ground };

/** A caller as a door makes it for each request: the holder of the development key of this name. */
export async function callerOf({ deps, keys }: Ground, name: string): Promise<Caller> {
  const found = await deps.authenticate(`Bearer ${keys[name] ?? ''}`);
  assert.ok(found.status === 'ok');
  return {
    deps,
    principal: found.principal,
    requestId: newId('trc'),
    idBase: randomUUID().replaceAll('-', ''),
    heldKey: null,
    trail: newTrail(),
    rights: lastingRights,
    stopping: new AbortController().signal,
  };
}

/** The result, which must not be a refusal. */
export function taken<T extends { readonly kind: string }>(given: T | Refusal): Exclude<T, Refusal> {
  assert.notEqual(given.kind, 'refusal', JSON.stringify(given));
  return given as Exclude<T, Refusal>;
}

export function refusedWith(given: { readonly kind: string } | Refusal | null): Refusal {
  assert.equal(given?.kind, 'refusal', JSON.stringify(given));
  return given as Refusal;
}
