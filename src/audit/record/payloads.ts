import { createHmac, randomBytes } from 'node:crypto';
import { giveWayBefore } from '../../model/give-way.js';
import { newId } from '../../model/names/ids.js';
import type { PayloadRef } from '../../model/records.js';
import { seal, unseal } from '../../model/sealing.js';
import { together, write, type Queryable } from '../../db/index.js';

// Prompts, arguments, outputs and reasons are stored apart from the record and encrypted with a key per run, so that the record
// still verifies after they are erased.

interface NewPayload {
  readonly role: PayloadRef['role'];
  readonly media: string;
  readonly bytes: string | Buffer;
}

export interface Payloads {
  /**
   * Stores a payload and gives its reference. `run` is '' for the service's own, which can always be added. Throws `PayloadsErased` or
   * `PayloadKeyUnopened` where nothing can be added.
   */
  put(
    q: Queryable,
    run: string,
    role: PayloadRef['role'],
    media: string,
    bytes: string | Buffer,
  ): Promise<PayloadRef>;
  /** As `put`, for several payloads; the references are in the same order. */
  putAll(q: Queryable, run: string, payloads: readonly NewPayload[]): Promise<PayloadRef[]>;
  /** Why nothing can be added for a run, as `put` would throw it; null: something can. */
  whyClosed(q: Queryable, run: string): Promise<PayloadsErased | PayloadKeyUnopened | null>;
  /** Null: erased, or never stored. Throws when the stored bytes are not those that the reference commits to. */
  get(q: Queryable, ref: PayloadRef): Promise<Buffer | null>;
  /**
   * Several in one read: by payload id, without those that were erased or never stored. None keeps the others from being read.
   */
  getAllReadable(q: Queryable, refs: readonly PayloadRef[]): Promise<ReadonlyMap<string, Readable>>;
}

/**
 * The bytes of a payload. Null: what is stored is not what the reference commits to. `PayloadKeyUnopened`: its key does not open
 * here, and nothing is known of the bytes.
 */
type Readable = Buffer | PayloadKeyUnopened | null;

const cachedKeys = 2_000;
const saltBytes = 32;

interface StoredPayload {
  readonly id: string;
  readonly run: string;
  readonly ciphertext: Buffer;
  readonly wrapped: Buffer;
}

interface DataKey {
  readonly wrapped: Buffer;
  readonly key: Buffer;
}

export function makePayloads({ kek }: { readonly kek: Buffer }): Payloads {
  const cache = new Map<string, DataKey>();
  const remember = (run: string, dataKey: DataKey): void => {
    if (cache.size >= cachedKeys) cache.clear();
    cache.set(run, dataKey);
  };
  const unwrap = (run: string, wrapped: Buffer): DataKey => {
    const known = cache.get(run);
    if (known !== undefined && known.wrapped.equals(wrapped)) return known;
    const dataKey = { wrapped, key: openKey(kek, run, wrapped) };
    remember(run, dataKey);
    return dataKey;
  };
  const putUnder: Payloads['putAll'] = async (q, run, payloads) => {
    if (payloads.length === 0) return [];
    const committed = payloads.map(commit);
    const refs = committed.map(({ ref }) => ref);
    const known = cache.get(run);
    if (known !== undefined && (await insertUnder(q, run, known, committed))) return refs;
    // The store no longer has the key in memory: it was erased, or made in a transaction that was rolled back.
    cache.delete(run);
    const made = makeKey(kek, run);
    await write(q, 'insert into payload_key (run, wrapped) values ($1, $2) on conflict do nothing', [
      run,
      made.wrapped,
    ]);
    const [isFirst, [stored]] = await together([insertUnder(q, run, made, committed), storedKeys(q, run)]);
    const wrapped = stored?.wrapped ?? null;
    if (wrapped === null) throw erasedError(run);
    if (isFirst) remember(run, made);
    if (isFirst || (await insertUnder(q, run, unwrap(run, wrapped), committed))) return refs;
    throw erasedError(run);
  };
  const putAll = putUnderAnyOwnKey(kek, putUnder);
  return {
    putAll,
    put: async (q, run, role, media, bytes) =>
      (await putAll(q, run, [{ role, media, bytes }]))[0] as PayloadRef,
    whyClosed: async (q, run) => {
      const [stored] = await storedKeys(q, run);
      if (stored === undefined) return null;
      const { wrapped } = stored;
      if (wrapped === null) return erasedError(run);
      const dataKey = tryUnwrap({ run, wrapped }, unwrap);
      return dataKey instanceof PayloadKeyUnopened ? dataKey : null;
    },
    get: async (q, ref) => {
      const [row] = await findRows(q, [ref.payload]);
      if (row === undefined) return null;
      await giveWayBefore(row.ciphertext.length);
      return openRow(row, ref, unwrap(row.run, row.wrapped));
    },
    getAllReadable: async (q, refs) => {
      const byId = new Map(refs.map((ref) => [ref.payload, ref]));
      return openReadable(await findRows(q, [...byId.keys()]), byId, unwrap);
    },
  };
}

async function findRows(q: Queryable, ids: readonly string[]): Promise<readonly StoredPayload[]> {
  if (ids.length === 0) return [];
  const { rows } = await q.query<StoredPayload>(
    'select p.id, p.run, p.ciphertext, k.wrapped from payload p join payload_key k on k.run = p.run where p.id = any($1) and k.wrapped is not null',
    [ids],
  );
  return rows;
}

type Unwrap = (run: string, wrapped: Buffer) => DataKey;

async function openReadable(
  rows: readonly StoredPayload[],
  refs: ReadonlyMap<string, PayloadRef>,
  unwrap: Unwrap,
): Promise<ReadonlyMap<string, Readable>> {
  const found = new Map<string, Readable>();
  for (const row of rows) {
    await giveWayBefore(row.ciphertext.length);
    const dataKey = tryUnwrap(row, unwrap);
    const isOpen = !(dataKey instanceof PayloadKeyUnopened);
    found.set(row.id, isOpen ? tryOpen(row, refs.get(row.id), dataKey) : dataKey);
  }
  return found;
}

function tryUnwrap(
  { run, wrapped }: Pick<StoredPayload, 'run' | 'wrapped'>,
  unwrap: Unwrap,
): DataKey | PayloadKeyUnopened {
  try {
    return unwrap(run, wrapped);
  } catch (error) {
    if (error instanceof PayloadKeyUnopened) return error;
    throw error;
  }
}

function tryOpen(row: StoredPayload, ref: PayloadRef | undefined, dataKey: DataKey): Buffer | null {
  try {
    return openRow(row, ref, dataKey);
  } catch {
    return null;
  }
}

/** Throws for bytes that are not those that the reference commits to. */
function openRow({ id, ciphertext }: StoredPayload, ref: PayloadRef | undefined, { key }: DataKey): Buffer {
  const sealed = unseal(key, ciphertext, id);
  const data = sealed.subarray(saltBytes);
  if (commitment(sealed.subarray(0, saltBytes), data) !== ref?.commit)
    throw new Error(`payload \`${id}\` is not what the record committed to`);
  return data;
}

/** The ids of those payloads that are stored and not erased. Their bytes are not read. */
export async function keptPayloads(q: Queryable, refs: readonly PayloadRef[]): Promise<ReadonlySet<string>> {
  const { rows } = await q.query<{ id: string }>(
    'select p.id from payload p join payload_key k on k.run = p.run where p.id = any($1) and k.wrapped is not null',
    [refs.map((ref) => ref.payload)],
  );
  return new Set(rows.map(({ id }) => id));
}

interface Committed {
  readonly ref: PayloadRef;
  readonly salt: Buffer;
  readonly data: Buffer;
}

function commit({ role, media, bytes }: NewPayload): Committed {
  const data = Buffer.isBuffer(bytes) ? bytes : Buffer.from(bytes, 'utf8');
  const salt = randomBytes(saltBytes);
  const payload = newId('pay');
  const ref = { role, commit: commitment(salt, data), bytes: data.length, media, payload, masked: [] };
  return { ref, salt, data };
}

/** Inserts only where `wrapped` is the key that the store has for the run, since nothing else could be read again. Gives whether it did. */
async function insertUnder(
  q: Queryable,
  run: string,
  { wrapped, key }: DataKey,
  committed: readonly Committed[],
): Promise<boolean> {
  const { rowCount } = await q.query(
    `insert into payload (id, run, commit, media, ciphertext)
     select t.id, k.run, t.commit, t.media, t.ciphertext
       from payload_key k, unnest($3::text[], $4::text[], $5::text[], $6::bytea[]) as t (id, commit, media, ciphertext)
      where k.run = $1 and k.wrapped = $2`,
    [
      run,
      wrapped,
      committed.map(({ ref }) => ref.payload),
      committed.map(({ ref }) => ref.commit),
      committed.map(({ ref }) => ref.media),
      committed.map(({ ref, salt, data }) => seal(key, Buffer.concat([salt, data]), ref.payload)),
    ],
  );
  return rowCount === committed.length;
}

/**
 * Begins the name of the service's own key where the one named '' does not open, or was erased: a process with another key-encryption key
 * may have made that, and why a run is cancelled or a flow is withdrawn is kept all the same. Each key-encryption key has its own.
 */
const serviceKey = 'service:';
/** Of one key-encryption key, where earlier ones were erased or are damaged. */
const mostOwnKeys = 100;

function putUnderAnyOwnKey(kek: Buffer, putUnder: Payloads['putAll']): Payloads['putAll'] {
  const name = `${serviceKey}${createHmac('sha256', kek).update(serviceKey).digest('hex').slice(0, 32)}`;
  const names = ['', name, ...Array.from({ length: mostOwnKeys }, (_, index) => `${name}:${index + 2}`)];
  return async (q, run, payloads) => {
    if (run !== '') return putUnder(q, run, payloads);
    let why: Error = erasedError(run);
    for (const next of names) {
      const kept = await putUnder(q, next, payloads).catch(whyClosedOrThrow);
      if (!(kept instanceof Error)) return kept;
      why = kept;
    }
    throw why;
  };
}

function whyClosedOrThrow(error: unknown): PayloadKeyUnopened | PayloadsErased {
  if (error instanceof PayloadKeyUnopened || error instanceof PayloadsErased) return error;
  throw error;
}

function openKey(kek: Buffer, run: string, wrapped: Buffer): Buffer {
  try {
    return unseal(kek, wrapped, `key:${run}`);
  } catch (cause) {
    const isOwn = run === '' || run.startsWith(serviceKey);
    throw new PayloadKeyUnopened(isOwn ? ownUnopened : describeUnopened(run), { cause });
  }
}

/** Each key-encryption key has its own for these (`putUnderAnyOwnKey`), so one that does not open is no reason to wait or to change the KEK. */
const ownUnopened =
  'a key of the payloads of the service itself does not open here: a process with another `COUNTERSIGN_KEK` (or `keys/kek` of the data folder) has made it, or it is damaged; what is kept under it is read where a process has the KEK under which it was made, and nothing else needs it';

function describeUnopened(run: string): string {
  return `the key of the payloads of run \`${run}\` does not open here; see that every process of the service has the \`COUNTERSIGN_KEK\` (or \`keys/kek\` of the data folder) under which this run was begun; only if it has, the key is damaged`;
}

function makeKey(kek: Buffer, run: string): DataKey {
  const key = randomBytes(32);
  return { key, wrapped: seal(kek, key, `key:${run}`) };
}

/** The run's wrapped key, null where it was erased; none where the run has none yet. */
async function storedKeys(
  q: Queryable,
  run: string,
): Promise<readonly { readonly wrapped: Buffer | null }[]> {
  const { rows } = await q.query<{ wrapped: Buffer | null }>(
    'select wrapped from payload_key where run = $1',
    [run],
  );
  return rows;
}

/** The key of these payloads was erased, so that nothing can be stored under it. */
export class PayloadsErased extends Error {}

/** The key of these payloads does not open: it is damaged, or this process has another key-encryption key than the one that sealed it. */
export class PayloadKeyUnopened extends Error {
  override readonly name = 'PayloadKeyUnopened';
}

function erasedError(run: string): Error {
  return new PayloadsErased(`the payloads of run \`${run}\` were erased: nothing can be added to them`);
}

function commitment(salt: Buffer, data: Buffer): string {
  return createHmac('sha256', salt).update(data).digest('hex');
}
