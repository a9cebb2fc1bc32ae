import { asWindows1252 } from './decoding/decode.js';

// The ways in which an answer may write what is looked for in it (parts.ts).

/** A text of characters that JSON, addresses, forms and pages never escape. */
const unescapedPattern = /^[A-Za-z0-9_.-]*$/;

export function formsOf(part: string): string[] {
  if (unescapedPattern.test(part)) return [part, ...packedForms(part)];
  const written = [part, ...otherForms(part)];
  // As a text is after `joinLines`: without line breaks and blanks.
  const joined = written.map((form) => form.replace(/[\r\n\0 \t]+/g, ''));
  return [...written, ...joined, ...packedForms(part)];
}

function otherForms(part: string): string[] {
  const wellFormed = part.toWellFormed();
  const escaped = JSON.stringify(part).slice(1, -1);
  return [
    escaped,
    JSON.stringify(escaped).slice(1, -1),
    encodeURIComponent(wellFormed),
    new URLSearchParams({ '': wellFormed }).toString().slice(1),
    ...apostrophes.map((apostrophe) =>
      part.replace(/[&<>"']/g, (character) => entities[character] ?? apostrophe),
    ),
    ...quotedForms(part),
    ...misreadForms(part),
    // As where capitals do not count, as in headers.
    part.toUpperCase(),
    part.toLowerCase(),
    // The same characters, composed otherwise.
    part.normalize('NFC'),
    part.normalize('NFD'),
  ];
}

/** Marks that are doubled inside the text that they delimit: in SQL and CSV, ODBC, Compose and INI. */
const doubledMarks = ["'", '"', '}', '$', '%'];
/** How a shell writes an apostrophe within a quotation: it ends the quotation and begins another. */
const shellApostrophes = [`'\\''`, `'"'"'`];

function quotedForms(part: string): string[] {
  return [
    ...doubledMarks.map((mark) => part.replaceAll(mark, () => mark + mark)),
    ...shellApostrophes.map((apostrophe) => part.replaceAll("'", () => apostrophe)),
  ];
}

function packedForms(part: string): string[] {
  return bytesOf(part).flatMap((bytes) => [bytes.toString('hex'), ...base64Forms(bytes)]);
}

const entities: Readonly<Record<string, string>> = {
  '&': '&amp;',
  '<': '&lt;',
  '>': '&gt;',
  '"': '&quot;',
};
/** HTML has several ways to write an apostrophe. */
const apostrophes = ['&#39;', '&#x27;', '&apos;'];

const isAscii = /^[\x00-\x7f]*$/;
const isLatin = /^[\x00-\xff]*$/;

/**
 * The text as UTF-8; also as Latin-1 where Latin-1 has all of its characters, else as UTF-16 in either byte order. UTF-16 of a
 * Latin-1 text needs no form of its own: it has a null beside each character, and nulls are removed before comparing.
 */
function bytesOf(part: string): Buffer[] {
  const own = Buffer.from(part);
  if (isAscii.test(part)) return [own];
  if (isLatin.test(part)) return [own, Buffer.from(part, 'latin1')];
  return [own, Buffer.from(part, 'utf16le'), Buffer.from(part, 'utf16le').swap16()];
}

/** The text's UTF-8, misread as Latin-1 or Windows-1252: `Ã¼` for `ü`. */
function misreadForms(part: string): string[] {
  if (isAscii.test(part)) return [];
  const latin = Buffer.from(part).toString('latin1');
  return [latin, asWindows1252(latin)];
}

/** The base64 of the bytes within a longer encoded text: only the characters that these bytes alone decide, at each of three offsets. */
function base64Forms(bytes: Buffer): string[] {
  return [0, 1, 2].flatMap((before) => {
    const encoded = Buffer.concat([Buffer.alloc(before), bytes]).toString('base64');
    const own = encoded.slice(Math.ceil((before * 8) / 6), Math.floor(((before + bytes.length) * 8) / 6));
    return /[+/]/.test(own) ? [own, own.replaceAll('+', '-').replaceAll('/', '_')] : [own];
  });
}
