import { Buffer } from 'node:buffer';
import { createCipheriv, createDecipheriv, randomBytes } from 'node:crypto';

// How bytes are encrypted wherever the service keeps them: AES-256-GCM; nonce (12 bytes), ciphertext, tag (16 bytes).

const nonceBytes = 12;
const tagBytes = 16;

/** `key`: 32 bytes. `place`, where the bytes are kept, is authenticated with them, so that a ciphertext moved to another place does not open. */
export function seal(key: Buffer, data: string | Buffer, place = ''): Buffer {
  const nonce = randomBytes(nonceBytes);
  const cipher = createCipheriv('aes-256-gcm', key, nonce, { authTagLength: tagBytes });
  cipher.setAAD(Buffer.from(place));
  const bytes = typeof data === 'string' ? Buffer.from(data, 'utf8') : data;
  return Buffer.concat([nonce, cipher.update(bytes), cipher.final(), cipher.getAuthTag()]);
}

/** Throws for bytes that were sealed under another key or for another place, or that were changed. */
export function unseal(key: Buffer, sealed: Buffer, place = ''): Buffer {
  if (sealed.length < nonceBytes + tagBytes) throw new Error(`${sealed.length} bytes are no sealed ones`);
  const nonce = sealed.subarray(0, nonceBytes);
  const decipher = createDecipheriv('aes-256-gcm', key, nonce, { authTagLength: tagBytes });
  decipher.setAAD(Buffer.from(place)).setAuthTag(sealed.subarray(-tagBytes));
  return Buffer.concat([decipher.update(sealed.subarray(nonceBytes, -tagBytes)), decipher.final()]);
}
