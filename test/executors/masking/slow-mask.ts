// How a text was masked at first: every order of undoing its escapes, three deep, each with a copy of its own. Far too slow for
// what a target may answer, and what is quick must find whatever this finds.
import { isUtf8 } from 'node:buffer';
import { formsOf } from '../../../src/executors/masking/forms.js';
import { drain } from '../../../src/executors/masking/find.js';
import { partsOf } from '../../../src/executors/masking/secrets/parts.js';

export function standsSlowly(secrets: readonly string[], text: string): boolean {
  const parts = [...new Set(secrets.flatMap((secret) => drain(partsOf(secret))))].filter(
    (part) => part.length >= 6,
  );
  const forms = [...new Set(parts.flatMap(formsOf))].filter((form) => form.length >= 6);
  const any = new RegExp(forms.map((form) => form.replace(/[.*+?^${}()|[\]\\/-]/g, '\\$&')).join('|'), 'i');
  return [text, ...decodings(text)].some((decoded) => any.test(decoded));
}

function decodings(text: string): string[] {
  const found = new Set([text]);
  let fresh = [text];
  for (let round = 0; round < 3 && fresh.length > 0; round += 1) {
    fresh = [
      ...new Set(fresh.flatMap((text) => [...decodedOnce(text), ...(round < 2 ? undressed(text) : [])])),
    ].filter((text) => !found.has(text));
    for (const text of fresh) found.add(text);
  }
  return [...found];
}

function decodedOnce(text: string): string[] {
  const found: string[] = [];
  if (text.includes('%')) found.push(percentDecoded(text), percentDecoded(text.replaceAll('+', ' ')));
  if (text.includes('\\')) found.push(text.replace(/\\u([0-9a-fA-F]{4})|\\(.)/gs, unescaped));
  if (/[\r\n\0]/.test(text)) found.push(text.replace(/[\r\n\0]+[ \t]*/g, ''));
  return found;
}

function unescaped(_whole: string, hex: string | undefined, letter = ''): string {
  if (hex !== undefined) return String.fromCharCode(parseInt(hex, 16));
  return { n: '\n', r: '\r' }[letter] ?? letter;
}

function percentDecoded(text: string): string {
  return text.replace(/(?:%[0-9a-fA-F]{2})+/g, (run) => textOf(Buffer.from(run.replaceAll('%', ''), 'hex')));
}

/** Of a page, and of a mail. */
function undressed(text: string): string[] {
  const named: Readonly<Record<string, string>> = {
    amp: '&',
    lt: '<',
    gt: '>',
    quot: '"',
    apos: "'",
    equals: '=',
  };
  const numbered = (digits: string, base: number): string => String.fromCodePoint(parseInt(digits, base));
  const page = text.replace(
    /&(?:#x([0-9a-f]{1,5});?|#([0-9]{1,6});?|([a-z0-9]+);)/gi,
    (whole, hex: string | undefined, decimal: string | undefined, name: string | undefined) =>
      hex !== undefined
        ? numbered(hex, 16)
        : decimal !== undefined
          ? numbered(decimal, 10)
          : (named[name ?? ''] ?? whole),
  );
  const mail = text
    .replace(/=\r?\n/g, '')
    .replace(/(?:=[0-9a-fA-F]{2})+/g, (run) => textOf(Buffer.from(run.replaceAll('=', ''), 'hex')));
  return [page, mail];
}

/** What bytes say that somebody wrote as UTF-8 or as Latin-1. */
function textOf(bytes: Buffer): string {
  if (isUtf8(bytes)) return bytes.toString('utf8');
  const parts: string[] = [];
  for (let at = 0; at < bytes.length;) {
    const size = [4, 3, 2, 1].find(
      (length) => at + length <= bytes.length && isCharacter(bytes.subarray(at, at + length)),
    );
    parts.push(bytes.toString(size === undefined ? 'latin1' : 'utf8', at, at + (size ?? 1)));
    at += size ?? 1;
  }
  return parts.join('');
}

function isCharacter(bytes: Buffer): boolean {
  return isUtf8(bytes) && [...bytes.toString('utf8')].length === 1;
}
