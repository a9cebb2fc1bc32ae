import { createCipheriv, createDecipheriv, createHmac, randomBytes } from 'node:crypto';
import { newId } from '../model/ids.js';
import type { PayloadRef } from '../model/records.js';
import type { Queryable } from '../db/index.js';

// Prompts, arguments, outputs, reasons: apart from the record, under a key per run, so that erasing
// them leaves a record that still verifies.

export interface Payloads {
  /** `run` '' is the service's own. */
  put(q: Queryable, run: string, role: PayloadRef['role'], media: string, bytes: string | Buffer): Promise<PayloadRef>;
  /** Null: erased, or never there. Throws when the stored bytes are not those that were committed to. */
  get(q: Queryable, ref: PayloadRef): Promise<Buffer | null>;
}

const cachedKeys = 2_000;
const saltBytes = 32;

export function makePayloads({ kek }: { readonly kek: Buffer }): Payloads {
  const cache = new Map<string, Buffer>();
  const remember = (run: string, key: Buffer): Buffer => {
    if (cache.size >= cachedKeys) cache.clear();
    cache.set(run, key);
    return key;
  };
  return {
    put: async (q, run, role, media, bytes) => {
      const data = Buffer.isBuffer(bytes) ? bytes : Buffer.from(bytes, 'utf8');
      // Not remembered: the caller's transaction may still be rolled back, and its key with it.
      const key = cache.get(run) ?? (await keyFor(q, kek, run));
      const salt = randomBytes(saltBytes);
      const ref: PayloadRef = { role, commit: commitment(salt, data), bytes: data.length, media, payload: newId('pay'), masked: [] };
      await q.query('insert into payload (id, run, commit, media, ciphertext) values ($1, $2, $3, $4, $5)', [ref.payload, run, ref.commit, media, seal(key, Buffer.concat([salt, data]))]);
      return ref;
    },
    get: async (q, ref) => {
      const { rows } = await q.query<{ run: string; ciphertext: Buffer; wrapped: Buffer | null }>(
        'select p.run, p.ciphertext, k.wrapped from payload p join payload_key k on k.run = p.run where p.id = $1',
        [ref.payload],
      );
      const row = rows[0];
      if (row === undefined || row.wrapped === null) return null;
      const key = cache.get(row.run) ?? remember(row.run, open(kek, row.wrapped));
      const plain = open(key, row.ciphertext);
      const data = plain.subarray(saltBytes);
      if (commitment(plain.subarray(0, saltBytes), data) !== ref.commit) throw new Error(`payload \`${ref.payload}\` is not what the record committed to`);
      return data;
    },
  };
}

async function keyFor(q: Queryable, kek: Buffer, run: string): Promise<Buffer> {
  const made = randomBytes(32);
  await q.query('insert into payload_key (run, wrapped) values ($1, $2) on conflict do nothing', [run, seal(kek, made)]);
  const { rows } = await q.query<{ wrapped: Buffer | null }>('select wrapped from payload_key where run = $1', [run]);
  const wrapped = rows[0]?.wrapped ?? null;
  if (wrapped === null) throw new Error(`the payloads of run \`${run}\` were erased: nothing can be added to them`);
  return open(kek, wrapped);
}

function commitment(salt: Buffer, data: Buffer): string {
  return createHmac('sha256', salt).update(data).digest('hex');
}

function seal(key: Buffer, data: Buffer): Buffer {
  const nonce = randomBytes(12);
  const cipher = createCipheriv('aes-256-gcm', key, nonce);
  return Buffer.concat([nonce, cipher.update(data), cipher.final(), cipher.getAuthTag()]);
}

function open(key: Buffer, sealed: Buffer): Buffer {
  const decipher = createDecipheriv('aes-256-gcm', key, sealed.subarray(0, 12));
  decipher.setAuthTag(sealed.subarray(-16));
  return Buffer.concat([decipher.update(sealed.subarray(12, -16)), decipher.final()]);
}
