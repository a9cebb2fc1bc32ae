import { readableText } from '../decoding/decode.js';
import { isSetting, isToken, makeIsPlain, userSecrets } from './setting-names.js';

// The secrets in an address (`scheme://user:password@host/token?sig=signature`), as they are written and as a target reads them.

/** The secrets of each address in a text; the whole text is taken for an address too, since it may contain blanks and separators. */
export function addressSecrets(text: string, isPublic = false): string[] {
  if (!text.includes('://')) return [];
  const addresses = text.match(/(?<![a-z0-9+.:-])[a-z][a-z0-9+.:-]*:\/\/\S*/gi) ?? [];
  const listed = addresses.flatMap((list) => list.split(/[,;](?=[a-z][a-z0-9+.:-]*:\/\/)/i));
  return [...new Set([text, ...addresses, ...listed])].flatMap((address) => secretsOf(address, isPublic));
}

function secretsOf(address: string, isPublic: boolean): string[] {
  const rest = /^[a-z][a-z0-9+.:-]*:\/\/(.*)$/is.exec(address)?.[1];
  if (rest === undefined) return [];
  const [, authority = '', path = '', query = ''] = /^([^/?#]*)([^?#]*)(.*)$/s.exec(rest) ?? [];
  const written = [
    ...loginOf(authority, rest),
    ...(isPublic ? [] : segmentsOf(path)),
    ...secretsOfQuery(query),
  ];
  return withDecoded(written);
}

/** The secrets of a query without its address, as signatures and forms are written: `sr=…&sig=…&se=…`. */
export function querySecrets(text: string): string[] {
  return text.includes('&') && /^\??[\w.%-]+=\S*$/.test(text) ? withDecoded(secretsOfQuery(text)) : [];
}

/** The values as they are written, and as a target decodes them. */
function withDecoded(written: readonly string[]): string[] {
  return written.flatMap((value) =>
    /[%+]/.test(value) ? [value, decodePercent(value), decodeForm(value)] : [value],
  );
}

function loginOf(authority: string, rest: string): string[] {
  const password = /^[^:]*:(.*)@/s.exec(authority)?.[1];
  const user = /^([^:@]+):?[^@]*@/s.exec(authority)?.[1] ?? '';
  // Some write `/`, `?` or `#` in a password without escaping it, and some targets read it like that.
  const raw = /^[^/?#:@]*:(.+)@/s.exec(rest)?.[1];
  // Other targets take what is before it for a port, and name that in their errors.
  const isRaw = raw !== undefined && !authority.includes('@') && !/:\d*$/.test(authority);
  return [
    ...[password, raw].filter((found) => found !== undefined),
    ...piecesOf(password ?? ''),
    ...(isRaw ? piecesOf(raw) : []),
    ...userSecrets(user, password ?? raw ?? ''),
  ];
}

/** The parts of a password between unescaped separators: a strict reader takes them for a host, a port or a path. */
function piecesOf(password: string): string[] {
  return password.split(/[/?#@:]/);
}

function segmentsOf(path: string): string[] {
  return path
    .split('/')
    .flatMap((segment) => [segment, ...segment.split(/[:;,=]/)])
    .filter(isToken);
}

function secretsOfQuery(query: string): string[] {
  const pairs = query.split(/[?#&;]/).map((pair) => {
    const [, name = '', value = ''] = /^(?:([^=]*)=)?(.*)$/s.exec(pair) ?? [];
    return { name, value };
  });
  const isPlain = makeIsPlain(pairs);
  return pairs.flatMap((pair) =>
    isPlain(pair) || isPlainAddress(pair.name, pair.value) ? [] : [pair.value],
  );
}

/** Is it the value of a setting, and an http address without login, query or fragment? */
function isPlainAddress(name: string, value: string): boolean {
  return isSetting(name) && /^https?:\/\/[^\s?#@]*$/i.test(decodePercent(value));
}

export function decodeForm(text: string): string {
  return decodePercent(text.replaceAll('+', ' '));
}

function decodePercent(text: string): string {
  return text.replace(/(?:%[0-9a-fA-F]{2})+/g, (run) =>
    readableText(Buffer.from(run.replaceAll('%', ''), 'hex')),
  );
}
