import { asWindows1252 } from './decode.js';

// How what is looked for in an answer (parts.ts) may be written there.

/** Nothing in it is written otherwise by JSON, addresses, forms or pages. */
const isPlain = /^[A-Za-z0-9_.-]*$/;

export function formsOf(part: string): string[] {
  if (isPlain.test(part)) return [part, ...packedForms(part)];
  const written = [part, ...otherForms(part)];
  // Where lines are joined again, no breaks and no blanks are left.
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
    ...misread(part),
    // Where capitals count for nothing, as they do in headers.
    part.toUpperCase(),
    part.toLowerCase(),
    // As others compose the same characters.
    part.normalize('NFC'),
    part.normalize('NFD'),
  ];
}

/** A mark that is written twice in what it ends or begins: of SQL and CSV, of ODBC, of Compose and of INI. */
const doubledMarks = ["'", '"', '}', '$', '%'];
/** How a shell ends a quotation for an apostrophe, and begins another. */
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
/** HTML has no one way to write it. */
const apostrophes = ['&#39;', '&#x27;', '&apos;'];

const isAscii = /^[\x00-\x7f]*$/;
const isLatin = /^[\x00-\xff]*$/;

/**
 * As UTF-8; as Latin-1 where that has all of its characters and others bytes for them, else as UTF-16 in either order. The
 * UTF-16 of what is Latin-1 has a null beside each character, as which it is found.
 */
function bytesOf(part: string): Buffer[] {
  const own = Buffer.from(part);
  if (isAscii.test(part)) return [own];
  if (isLatin.test(part)) return [own, Buffer.from(part, 'latin1')];
  return [own, Buffer.from(part, 'utf16le'), Buffer.from(part, 'utf16le').swap16()];
}

/** Its UTF-8 read as Latin-1 or Windows-1252: `Ã¼` for `ü`. */
function misread(part: string): string[] {
  if (isAscii.test(part)) return [];
  const latin = Buffer.from(part).toString('latin1');
  return [latin, asWindows1252(latin)];
}

/** Wherever the secret stands in a longer encoded text: the characters that it alone decides, at each of three offsets. */
function base64Forms(bytes: Buffer): string[] {
  return [0, 1, 2].flatMap((before) => {
    const encoded = Buffer.concat([Buffer.alloc(before), bytes]).toString('base64');
    const own = encoded.slice(Math.ceil((before * 8) / 6), Math.floor(((before + bytes.length) * 8) / 6));
    return /[+/]/.test(own) ? [own, own.replaceAll('+', '-').replaceAll('/', '_')] : [own];
  });
}
