import { createPrivateKey, createPublicKey, hkdfSync, sign } from 'node:crypto';
import type { SigningKey } from './keys.js';

export interface WebhookKey {
  /** `whpk_<base64>`: the public key with which receivers of webhooks verify. */
  readonly published: string;
  sign(bytes: Buffer): Buffer;
}

/** The fixed start of the PKCS #8 form of an Ed25519 key; the seed follows it. */
const pkcs8 = Buffer.from('302e020100300506032b657004220420', 'hex');
const rawBytes = 32;

/**
 * Derives the key for webhooks from the service's key, so that the key that signs messages to runs never signs bytes that others
 * had a part in. All processes of a service derive the same key, and it changes with the service's key.
 */
export function makeWebhookKey({ privateKey }: SigningKey): WebhookKey {
  const secret = privateKey.export({ type: 'pkcs8', format: 'der' });
  const seed = Buffer.from(hkdfSync('sha256', secret, Buffer.alloc(0), 'countersign webhooks', rawBytes));
  const key = createPrivateKey({ key: Buffer.concat([pkcs8, seed]), format: 'der', type: 'pkcs8' });
  const spki = createPublicKey(key).export({ type: 'spki', format: 'der' });
  return {
    published: `whpk_${spki.subarray(-rawBytes).toString('base64')}`,
    sign: (bytes) => sign(null, bytes, key),
  };
}
