import { readableText } from './decode.js';
import { isSetting, isToken, toldIn, userSecrets } from './setting-names.js';

// What stands in an address as a secret: `scheme://user:password@host/token?sig=signature`, as it is written there and as a
// target reads it.

/** Of each address in a text, and of the text where it is one, blanks and separators included. */
export function addressSecrets(text: string, isPublic = false): string[] {
  if (!text.includes('://')) return [];
  const addresses = text.match(/(?<![a-z0-9+.:-])[a-z][a-z0-9+.:-]*:\/\/\S*/gi) ?? [];
  const listed = addresses.flatMap((one) => one.split(/[,;](?=[a-z][a-z0-9+.:-]*:\/\/)/i));
  return [...new Set([text, ...addresses, ...listed])].flatMap((one) => secretsOf(one, isPublic));
}

function secretsOf(address: string, isPublic: boolean): string[] {
  const rest = /^[a-z][a-z0-9+.:-]*:\/\/(.*)$/is.exec(address)?.[1];
  if (rest === undefined) return [];
  const [, authority = '', path = '', query = ''] = /^([^/?#]*)([^?#]*)(.*)$/s.exec(rest) ?? [];
  const written = [...loginOf(authority, rest), ...(isPublic ? [] : segmentsOf(path)), ...valuesOf(query)];
  return asRead(written);
}

/** Of `sr=…&sig=…&se=…`, as signatures and forms have it: what stands behind the `?` of an address, without that. */
export function querySecrets(text: string): string[] {
  return text.includes('&') && /^\??[\w.%-]+=\S*$/.test(text) ? asRead(valuesOf(text)) : [];
}

/** As it is written, and as a target reads it. */
function asRead(written: readonly string[]): string[] {
  return written.flatMap((one) => (/[%+]/.test(one) ? [one, percentDecoded(one), formDecoded(one)] : [one]));
}

function loginOf(authority: string, rest: string): string[] {
  const password = /^[^:]*:(.*)@/s.exec(authority)?.[1];
  const user = /^([^:@]+):?[^@]*@/s.exec(authority)?.[1] ?? '';
  // Some write a `/`, `?` or `#` in the password as it is, and some targets take it so.
  const raw = /^[^/?#:@]*:(.+)@/s.exec(rest)?.[1];
  // Others take what is before it for a port, which they tell of.
  const isRaw = raw !== undefined && !authority.includes('@') && !/:\d*$/.test(authority);
  return [
    ...[password, raw].filter((one) => one !== undefined),
    ...piecesOf(password ?? ''),
    ...(isRaw ? piecesOf(raw) : []),
    ...userSecrets(user, password ?? raw ?? ''),
  ];
}

/** What a strict reader takes for a host, a port or a path where a password has these in it as they are. */
function piecesOf(password: string): string[] {
  return password.split(/[/?#@:]/);
}

function segmentsOf(path: string): string[] {
  return path
    .split('/')
    .flatMap((segment) => [segment, ...segment.split(/[:;,=]/)])
    .filter(isToken);
}

function valuesOf(query: string): string[] {
  const pairs = query.split(/[?#&;]/).map((pair) => {
    const [, name = '', value = ''] = /^(?:([^=]*)=)?(.*)$/s.exec(pair) ?? [];
    return { name, value };
  });
  const isTold = toldIn(pairs);
  return pairs.flatMap((pair) => (isTold(pair) || isPlainAddress(pair.name, pair.value) ? [] : [pair.value]));
}

/** Of a setting, and nothing else in it, escaped as it has to be there. */
function isPlainAddress(name: string, value: string): boolean {
  return isSetting(name) && /^https?:\/\/[^\s?#@]*$/i.test(percentDecoded(value));
}

export function formDecoded(text: string): string {
  return percentDecoded(text.replaceAll('+', ' '));
}

function percentDecoded(text: string): string {
  return text.replace(/(?:%[0-9a-fA-F]{2})+/g, (run) =>
    readableText(Buffer.from(run.replaceAll('%', ''), 'hex')),
  );
}
