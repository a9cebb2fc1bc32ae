import { generateKeyPairSync, hkdfSync, type KeyObject } from 'node:crypto';
import type { Queryable } from '../db/index.js';
import { seal, unseal } from '../model/sealing.js';
import { unretiredSigningKeys, type NewSigningKey } from '../store/people/signing-keys.js';
import { importPublicKey, importSigningKey, type ServiceKeys, type SigningKey } from './keys.js';

// Which key the service signs with, and which keys it accepts. The store is asked each time, so that a key that was rotated
// in one process is rotated in all processes with the next message.

type Own = Pick<ServiceKeys, 'signing' | 'kek'>;

/** No key that may sign can be used in this process: the store has the newest one under another key-encryption key. */
export class NoSigningKey extends Error {
  override readonly name = 'NoSigningKey';
}

/** The newest key that is not retired and whose private half this process has. Throws `NoSigningKey` where there is none. */
export async function currentSigningKey(q: Queryable, { signing, kek }: Own): Promise<SigningKey> {
  for (const row of await unretiredSigningKeys(q)) {
    if (row.keyId === signing.keyId) return signing;
    const opened = open(kek, row);
    if (opened !== null) return opened;
  }
  throw new NoSigningKey(
    `the key \`${signing.keyId}\` of \`COUNTERSIGN_SIGNING_KEY\` (or \`keys/signing.pem\`) is retired, and no other can be used here: ` +
      'see that every process of the service has the `COUNTERSIGN_KEK` (or `keys/kek` of the data folder) under which the store has the newest one, or that one itself; ' +
      'where both are lost, start it with another `COUNTERSIGN_SIGNING_KEY`',
  );
}

/** Whether the store has the private half of this key, and it does not open here. */
export function isSigningKeyUnopened(kek: Buffer, key: NewSigningKey): boolean {
  return key.sealed !== null && open(kek, key) === null;
}

/** Makes a new key, in the form in which the store keeps it for all processes. */
export function makeSigningKey(kek: Buffer): NewSigningKey {
  const pem = generateKeyPairSync('ed25519').privateKey.export({ type: 'pkcs8', format: 'pem' }).toString();
  const { keyId, publicKey } = importSigningKey(pem);
  return { keyId, publicKey, sealed: seal(sealingKey(kek), pem, keyId) };
}

/** What a key is worth to a message: the key; `retired` if it was retired before the message was stored; null: unknown. */
export type VerifyingKey = KeyObject | 'retired' | null;

/** The key that a message names, and whether it was retired before the message was stored. `key` is null where the store has none of that id. */
export interface Keyed {
  readonly keyId: string;
  readonly key: { readonly publicKey: string; readonly wasRetired: boolean } | null;
}

/**
 * Null: the key is unknown, or its row holds the bytes of another key. A message that was stored before its key was retired stays
 * valid, however late a worker reads it.
 */
export function verifyingKeyOf({ keyId, key }: Keyed): VerifyingKey {
  if (key === null) return null;
  return key.wasRetired ? 'retired' : importOnce(keyId, key.publicKey);
}

/** The key that was imported last, kept because almost all messages are signed with the same key. */
let imported: { readonly keyId: string; readonly publicKey: string; readonly object: KeyObject | null } = {
  keyId: '',
  publicKey: '',
  object: null,
};

function importOnce(keyId: string, publicKey: string): KeyObject | null {
  if (imported.keyId !== keyId || imported.publicKey !== publicKey)
    imported = { keyId, publicKey, object: importPublicKey({ keyId, publicKey }) };
  return imported.object;
}

/** Derives the key that signing keys are encrypted with; the KEK itself encrypts the keys of payloads. */
function sealingKey(kek: Buffer): Buffer {
  return Buffer.from(hkdfSync('sha256', kek, Buffer.alloc(0), 'countersign signing keys', 32));
}

/** Null: the store has no private half, or one that is sealed under another KEK or for another key, or changed. */
function open(kek: Buffer, { keyId, publicKey, sealed }: NewSigningKey): SigningKey | null {
  if (sealed === null) return null;
  try {
    const opened = importSigningKey(unseal(sealingKey(kek), sealed, keyId).toString('utf8'));
    return opened.publicKey === publicKey ? opened : null;
  } catch {
    return null;
  }
}
