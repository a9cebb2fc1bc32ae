import { giveWayBefore } from '../model/give-way.js';
import type { Json } from '../model/values/json.js';
import type { PayloadRef } from '../model/records.js';
import type { ServiceDeps } from './deps.js';

// Values that are kept as encrypted payloads. Null: there is no value, or it was erased.

type PayloadAccess = Pick<ServiceDeps, 'payloads' | 'pool'>;

export async function readText(
  { payloads, pool }: PayloadAccess,
  ref: PayloadRef | null,
): Promise<string | null> {
  const bytes = ref === null ? null : await payloads.get(pool, ref);
  return bytes === null ? null : bytes.toString('utf8');
}

/** The text of a payload that was read before, together with others. */
export type ReadValues = (ref: PayloadRef | null) => string | null;

export async function readAll(
  { payloads, pool }: PayloadAccess,
  refs: readonly (PayloadRef | null)[],
): Promise<ReadValues> {
  const found = await payloads.getAll(
    pool,
    refs.filter((ref) => ref !== null),
  );
  return (ref) => (ref === null ? null : (found.get(ref.payload)?.toString('utf8') ?? null));
}

/** Gives way to other work before a long text is parsed. */
export async function parseValue(text: string | null): Promise<Json> {
  if (text === null) return null;
  await giveWayBefore(text.length);
  return JSON.parse(text) as Json;
}

export async function readJson(deps: PayloadAccess, ref: PayloadRef | null): Promise<Json> {
  const text = await readText(deps, ref);
  return text === null ? null : (JSON.parse(text) as Json);
}
