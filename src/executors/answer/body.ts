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
import { asWindows1252 } from '../masking/decode.js';
import type { Told } from '../masking/mask.js';
import { codeOf } from '../connections/network.js';

// The bytes of an answer to its text: content encodings that nobody asked for, byte order marks and charsets. What a
// target said with 200 happened, so whatever can be read is read, and what cannot is named.

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
  // Some servers leave out the frame that HTTP asks for.
  deflate: (bytes, options) => ((bytes[0] ?? 0) % 16 === 8 ? inflateBytes : inflateRawBytes)(bytes, options),
};

/** What servers write for a body that is packed in no way, charsets and the encodings of mail among it. */
const noEncodings = /^(identity|none|null|utf-?8|us-ascii|ascii|iso-8859-1|7bit|8bit|binary|)$/i;

/** In the order of undoing. */
function encodingsOf(header: string | undefined): string[] {
  const names = (header ?? '').split(',').map((name) => name.trim());
  return names.filter((name) => !noEncodings.test(name)).reverse();
}

/** Of a name that the target gave to something. */
const longestName = 40;

/** Undoes the content encodings; `limit` is for what comes out of each. */
export async function unpackBody(
  bytes: Buffer,
  encoding: string | undefined,
  limit: number,
  told: Told,
): Promise<Unpacked> {
  let unpacked = bytes;
  for (const name of encodingsOf(encoding)) {
    if (unpacked.length === 0) break;
    const known = name.toLowerCase();
    const unpack = Object.hasOwn(unpackers, known) ? unpackers[known] : undefined;
    if (unpack === undefined) {
      const shown = told.start(name, longestName);
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

/** The same for an answer that is read as it comes; null where one of its encodings is not read here. */
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

/** A byte order mark says more than the content type; without either it is UTF-8. Nothing is replaced. */
export function decodeBody(bytes: Buffer, contentType: string | undefined, told: Told): Decoded {
  const named = /;\s*charset\s*=\s*"?([^";\s]+)/i.exec(contentType ?? '')?.[1];
  const charset = markedCharset(bytes) ?? named ?? 'utf-8';
  try {
    const decoder = new TextDecoder(charset, { fatal: true });
    const text = decoder.decode(bytes);
    // Node reads that as Latin-1.
    return { status: 'text', text: decoder.encoding === 'windows-1252' ? asWindows1252(text) : text };
  } catch (error) {
    const shown = told.start(charset, longestName);
    if (!(error instanceof RangeError))
      return { status: 'unreadable', why: `its body is not in \`${shown}\`` };
    // Of a charset with an unknown name, what is UTF-8 all the same can be read.
    if (isUtf8(bytes)) return { status: 'text', text: new TextDecoder().decode(bytes) };
    return { status: 'unreadable', why: `its charset \`${shown}\` is not known here` };
  }
}

function markedCharset(bytes: Buffer): string | null {
  if (bytes[0] === 0xef && bytes[1] === 0xbb && bytes[2] === 0xbf) return 'utf-8';
  if (bytes[0] === 0xff && bytes[1] === 0xfe) return 'utf-16le';
  return bytes[0] === 0xfe && bytes[1] === 0xff ? 'utf-16be' : null;
}

/** RFC 2397. */
export function dataUrl(media: string, bytes: Buffer): string {
  return `data:${media};base64,${bytes.toString('base64')}`;
}

/** What the bytes of a data URL say to whoever reads them as text; empty: it is none. */
export function textsInDataUrl(text: string): readonly string[] {
  const base64 = /^data:[\w.+-]+\/[\w.+-]+;base64,/.exec(text)?.[0];
  if (base64 === undefined) return [];
  const bytes = Buffer.from(text.slice(base64.length), 'base64');
  return [bytes.toString('latin1'), bytes.toString('utf16le').toWellFormed()];
}
