import type { Finding } from './problems.js';
import { parseText, type Media, type Parsed } from './source.js';

// The one way of reading a file of policies, for the service and for the command line.

export type DecodedText =
  | { readonly status: 'read'; readonly text: string; readonly media: Media }
  | { readonly status: 'invalid'; readonly problems: readonly Finding[] };

/**
 * The text of a file, JSON where its name says so. `bytes` null: it cannot be read. Bytes that are not UTF-8 are no text: with
 * replacement characters, another text would be judged than its author wrote.
 */
export function decodeFile(bytes: Uint8Array | null, file: string): DecodedText {
  const text = bytes === null ? null : decode(bytes);
  if (text !== null) return { status: 'read', text, media: /\.json$/i.test(file) ? 'json' : 'yaml' };
  const message = `\`${file}\` cannot be read as a file of UTF-8 text`;
  const problem: Finding = { code: 'UNREADABLE', path: '', file, line: 1, column: 1, message };
  return { status: 'invalid', problems: [problem] };
}

export function parseFile(bytes: Uint8Array | null, file: string): Parsed {
  const decoded = decodeFile(bytes, file);
  return decoded.status === 'invalid' ? decoded : parseText(decoded.text, file, decoded.media);
}

function decode(bytes: Uint8Array): string | null {
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(bytes);
  } catch {
    return null;
  }
}
