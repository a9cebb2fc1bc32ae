import { createHmac, randomBytes } from 'node:crypto';

const prefix = 'cs_';
const shape = /^cs_[A-Za-z0-9_-]{43}$/;

/** 256 random bits; shown once, stored as its keyed hash only. */
export function newApiKey(): string {
  return `${prefix}${randomBytes(32).toString('base64url')}`;
}

export function looksLikeApiKey(credential: string): boolean {
  return shape.test(credential);
}

/** What the store knows of a key. Without the pepper it can neither be guessed from nor compared. */
export function hashApiKey(pepper: Buffer, key: string): Buffer {
  return createHmac('sha256', pepper).update(key, 'utf8').digest();
}
