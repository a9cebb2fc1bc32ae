export const apiKeyPrefix = 'cs_';
/** 256 bits in base64url. */
const shape = /^cs_[A-Za-z0-9_-]{43}$/;
const within = /(?<![\w-])cs_[\w-]{43}(?![\w-])/;

export function looksLikeApiKey(text: string): boolean {
  return shape.test(text);
}

/** Does an API key stand in the text, whatever is around it? */
export function hasApiKey(text: string): boolean {
  return within.test(text);
}
