import { giveWayBefore } from '../model/give-way.js';
import type { ApprovalDoc } from '../engine/state.js';
import { isObject, type Json, type JsonObject } from '../model/values/json.js';
import type { PayloadRef } from '../model/records.js';
import { PayloadKeyUnopened } from '../audit/index.js';
import type { ServiceDeps } from './deps.js';

/** A value could not be read, since its key does not open in this process. */
export function isKeyUnopened(error: unknown): error is PayloadKeyUnopened {
  return error instanceof PayloadKeyUnopened;
}

// Values that are kept as encrypted payloads. Null: there is no value, or it was erased.

type PayloadAccess = Pick<ServiceDeps, 'payloads' | 'pool'>;

export async function readText(
  { payloads, pool }: PayloadAccess,
  ref: PayloadRef | null,
): Promise<string | null> {
  const bytes = ref === null ? null : await payloads.get(pool, ref);
  return bytes === null ? null : bytes.toString('utf8');
}

/** Payloads that were read before, together. */
export interface ReadValues {
  /** Null also where it cannot be read. */
  readonly text: (ref: PayloadRef | null) => string | null;
  /** What is stored is not what was stored once. */
  readonly isDamaged: (ref: PayloadRef | null) => boolean;
  /** Its key does not open here, and nothing is known of it; null: it does, or there is none. */
  readonly unopened: (ref: PayloadRef | null) => PayloadKeyUnopened | null;
}

/** Reads what can be read: a payload that cannot, which is told to the operator, does not keep the others from being shown. */
export async function readAll(
  { payloads, pool, onInternalError }: PayloadAccess & Pick<ServiceDeps, 'onInternalError'>,
  refs: readonly (PayloadRef | null)[],
): Promise<ReadValues> {
  const found = await payloads.getAllReadable(
    pool,
    refs.filter((ref) => ref !== null),
  );
  const unopened = new Map<string, PayloadKeyUnopened>();
  for (const [id, bytes] of found)
    if (bytes === null)
      onInternalError(`payload \`${id}\``, new Error('what the store has of it is not what was stored'));
    else if (bytes instanceof PayloadKeyUnopened) unopened.set(bytes.message, bytes);
  // Told once for a key, however many payloads are under it.
  for (const error of unopened.values()) onInternalError('payloads', error);
  const get = (ref: PayloadRef | null) => (ref === null ? undefined : found.get(ref.payload));
  return {
    text: (ref) => {
      const bytes = get(ref);
      return Buffer.isBuffer(bytes) ? bytes.toString('utf8') : null;
    },
    isDamaged: (ref) => get(ref) === null,
    unopened: (ref) => {
      const bytes = get(ref);
      return bytes instanceof PayloadKeyUnopened ? bytes : null;
    },
  };
}

/** `unreadable` of an answer: which of its values there are, or were, and cannot be read. Empty: all others are as they are shown. */
export function unreadableOf<Part extends string>(
  read: Pick<ReadValues, 'text'>,
  refs: Readonly<Record<Part, PayloadRef | null>>,
): { readonly unreadable?: readonly Part[] } {
  const parts = (Object.keys(refs) as Part[]).filter(
    (part) => refs[part] !== null && read.text(refs[part]) === null,
  );
  return parts.length === 0 ? {} : { unreadable: parts };
}

/** Gives way to other work before a long text is parsed. Null also where it is no JSON: its reference was changed. */
export async function parseValue(text: string | null): Promise<Json> {
  if (text === null) return null;
  await giveWayBefore(text.length);
  try {
    return JSON.parse(text) as Json;
  } catch {
    return null;
  }
}

export async function readJson(deps: PayloadAccess, ref: PayloadRef | null): Promise<Json> {
  const text = await readText(deps, ref);
  return text === null ? null : (JSON.parse(text) as Json);
}

/** The arguments that an approval asks for; null: they cannot be read. */
export async function parseArguments(
  read: ReadValues,
  { argumentsRef }: Pick<ApprovalDoc, 'argumentsRef'>,
): Promise<JsonObject | null> {
  if (argumentsRef === null) return {};
  const value = await parseValue(read.text(argumentsRef));
  return isObject(value) ? value : null;
}
