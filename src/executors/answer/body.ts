import { isUtf8 } from 'node:buffer';
import { promisify } from 'node:util';
import {
  brotliDecompress,
  createBrotliDecompress,
  createGunzip,
  createInflate,
  gunzip,
  inflate,
  inflateRaw,
} from 'node:zlib';
import type { Transform } from 'node:stream';
import { asWindows1252 } from '../masking/decoding/decode.js';
import type { Excerpts } from '../masking/mask.js';
import { codeOf } from '../connections/network.js';

// From the bytes of an answer to its text: content encodings that nobody asked for, byte order marks and charsets. A call that
// was answered with 200 has happened, so whatever can be read is read, and what cannot be read is named.

export type Unpacked =
  | { readonly status: 'unpacked'; readonly bytes: Buffer }
  | { readonly status: 'too_large' }
  | { readonly status: 'unreadable'; readonly why: string };

type Unpack = (bytes: Buffer, options: { readonly maxOutputLength: number }) => Promise<Buffer>;

const inflateBytes: Unpack = promisify(inflate);
const inflateRawBytes: Unpack = promisify(inflateRaw);
const gunzipBytes: Unpack = promisify(gunzip);

const unpackers: Readonly<Record<string, Unpack>> = {
  gzip: gunzipBytes,
  'x-gzip': gunzipBytes,
  br: promisify(brotliDecompress),
  // Some servers leave out the zlib frame that HTTP asks for.
  deflate: (bytes, options) => ((bytes[0] ?? 0) % 16 === 8 ? inflateBytes : inflateRawBytes)(bytes, options),
};

/** What servers write as the encoding of a body that is not packed, charsets and encodings of mail among it. */
const noEncodings = /^(identity|none|null|utf-?8|us-ascii|ascii|iso-8859-1|7bit|8bit|binary|)$/i;

/** The encodings of a body, in the order in which they are undone. */
function encodingsOf(header: string | undefined): string[] {
  const names = (header ?? '').split(',').map((name) => name.trim());
  return names.filter((name) => !noEncodings.test(name)).reverse();
}

/** How many characters of a name that the target wrote are quoted. */
const longestName = 40;

/** Undoes the content encodings. `limit`: the most bytes that undoing each may make. */
export async function unpackBody(
  bytes: Buffer,
  encoding: string | undefined,
  limit: number,
  excerpts: Excerpts,
): Promise<Unpacked> {
  let unpacked = bytes;
  for (const name of encodingsOf(encoding)) {
    if (unpacked.length === 0) break;
    const known = name.toLowerCase();
    const unpack = Object.hasOwn(unpackers, known) ? unpackers[known] : undefined;
    if (unpack === undefined) {
      const shown = excerpts.start(name, longestName);
      return { status: 'unreadable', why: `its content encoding \`${shown}\` is not read here` };
    }
    try {
      unpacked = await unpack(unpacked, { maxOutputLength: limit });
    } catch (error) {
      const code = codeOf(error);
      if (code === 'ERR_BUFFER_TOO_LARGE') return { status: 'too_large' };
      return { status: 'unreadable', why: `its body is no whole \`${known}\` (${code})` };
    }
  }
  return { status: 'unpacked', bytes: unpacked };
}

/** Streams that undo the content encodings of an answer that is read as it comes; null: an encoding is not known here. */
export function unpackStreams(encoding: string | undefined): Transform[] | null {
  const streams = encodingsOf(encoding).map((written) => {
    const name = written.toLowerCase();
    if (name === 'gzip' || name === 'x-gzip') return createGunzip();
    if (name === 'deflate') return createInflate();
    return name === 'br' ? createBrotliDecompress() : null;
  });
  const known = streams.filter((stream) => stream !== null);
  return known.length === streams.length ? known : null;
}

export type Decoded =
  | { readonly status: 'text'; readonly text: string }
  | { readonly status: 'unreadable'; readonly why: string };

/** A byte order mark counts more than the content type; without both the charset is UTF-8. No character is replaced: bytes that do not fit are unreadable. */
export function decodeBody(bytes: Buffer, contentType: string | undefined, excerpts: Excerpts): Decoded {
  const named = /;\s*charset\s*=\s*"?([^";\s]+)/i.exec(contentType ?? '')?.[1];
  const charset = charsetOfMark(bytes) ?? named ?? 'utf-8';
  try {
    const decoder = new TextDecoder(charset, { fatal: true });
    const text = decoder.decode(bytes);
    // Node decodes windows-1252 as Latin-1.
    return { status: 'text', text: decoder.encoding === 'windows-1252' ? asWindows1252(text) : text };
  } catch (error) {
    const shown = excerpts.start(charset, longestName);
    if (!(error instanceof RangeError))
      return { status: 'unreadable', why: `its body is not in \`${shown}\`` };
    // The charset has an unknown name, but the bytes are valid UTF-8.
    if (isUtf8(bytes)) return { status: 'text', text: new TextDecoder().decode(bytes) };
    return { status: 'unreadable', why: `its charset \`${shown}\` is not known here` };
  }
}

function charsetOfMark(bytes: Buffer): string | null {
  if (bytes[0] === 0xef && bytes[1] === 0xbb && bytes[2] === 0xbf) return 'utf-8';
  if (bytes[0] === 0xff && bytes[1] === 0xfe) return 'utf-16le';
  return bytes[0] === 0xfe && bytes[1] === 0xff ? 'utf-16be' : null;
}

/** RFC 2397. */
export function dataUrl(media: string, bytes: Buffer): string {
  return `data:${media};base64,${bytes.toString('base64')}`;
}

/** The bytes of a data URL, read as text in each of two ways; empty: the text is no data URL. */
export function textsInDataUrl(text: string): readonly string[] {
  const base64 = /^data:[\w.+-]+\/[\w.+-]+;base64,/.exec(text)?.[0];
  if (base64 === undefined) return [];
  const bytes = Buffer.from(text.slice(base64.length), 'base64');
  return [bytes.toString('latin1'), bytes.toString('utf16le').toWellFormed()];
}
