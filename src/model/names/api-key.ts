export const apiKeyPrefix = 'cs_';
/** 256 bits in base64url. */
const shape = /^cs_[A-Za-z0-9_-]{43}$/;

export function looksLikeApiKey(text: string): boolean {
  return shape.test(text);
}
