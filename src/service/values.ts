import type { Json } from '../model/json.js';
import type { PayloadRef } from '../model/records.js';
import type { ServiceDeps } from './deps.js';

// Values that are kept as encrypted payloads. Null: there is none, or it was erased.

type Reading = Pick<ServiceDeps, 'payloads' | 'pool'>;

export async function readText({ payloads, pool }: Reading, ref: PayloadRef | null): Promise<string | null> {
  const bytes = ref === null ? null : await payloads.get(pool, ref);
  return bytes === null ? null : bytes.toString('utf8');
}

export async function readJson(deps: Reading, ref: PayloadRef | null): Promise<Json> {
  const text = await readText(deps, ref);
  return text === null ? null : (JSON.parse(text) as Json);
}
