import { createHmac, randomBytes } from 'node:crypto';
import { apiKeyPrefix } from '../model/names/api-key.js';

/** Makes a key of 256 random bits. It is shown once; the store keeps only its keyed hash. */
export function newApiKey(): string {
  return `${apiKeyPrefix}${randomBytes(32).toString('base64url')}`;
}

/** The keyed hash that the store keeps of a key. Without the pepper nobody can test a guess against it. */
export function hashApiKey(pepper: Buffer, key: string): Buffer {
  return createHmac('sha256', pepper).update(key, 'utf8').digest();
}
