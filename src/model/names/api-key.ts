export const apiKeyPrefix = 'cs_';
/** 256 bits in base64url. */
const shape = /^cs_[A-Za-z0-9_-]{43}$/;
/** At the beginning of a word; or behind what may stand directly before it, where it looks random. Stripe has ids like the two exceptions. */
const within = new RegExp(
  [
    /(?<![\w-])cs_(?!test_|live_)[\w-]{43}/,
    /(?<=%[\dA-Fa-f]{2}|\\[nrt]|u00[\da-f]{2}|[-_\d]|[Kk]ey)cs_(?!test_|live_)(?=[\w-]{0,42}[A-Z])(?=[\w-]{0,42}[a-z])(?=[\w-]{0,42}\d)[\w-]{43}/,
  ]
    .map(({ source }) => source)
    .join('|'),
);

export function looksLikeApiKey(text: string): boolean {
  return shape.test(text);
}

/** Does an API key stand in the text, whatever is around it? */
export function hasApiKey(text: string): boolean {
  return within.test(text);
}
