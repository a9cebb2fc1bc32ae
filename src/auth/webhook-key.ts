import { createPrivateKey, createPublicKey, hkdfSync, sign } from 'node:crypto';
import type { SigningKey } from './keys.js';

export interface WebhookKey {
  /** `whpk_<base64>`: what receivers of webhooks verify with. */
  readonly published: string;
  sign(bytes: Buffer): Buffer;
}

/** PKCS #8 of an Ed25519 seed, up to the seed itself. */
const pkcs8 = Buffer.from('302e020100300506032b657004220420', 'hex');
const rawBytes = 32;

/**
 * A key of its own, derived from the service's: what signs messages to runs never signs bytes that others have a part
 * in. Every process of one service has the same, and it changes with the service's key.
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
