import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

// What the data folder's files mean. It changes only when data of before cannot be read any more.

const format = 2;
const file = 'format.json';
/** Files of a data folder that was used: with one of them and without a format, it is of before there was one. */
const signsOfUse = ['postgres.json', 'postgres', 'temporal', 'processes.json'];

/** Why a data folder may not be used, in a sentence that says what to do; null: it may. Nothing in it is touched. */
export function dataFormatProblem(home: string): string | null {
  const path = join(home, file);
  const wayOut = `it is left as it is: start with another folder, \`COUNTERSIGN_HOME=/path/to/a/new/folder npm start\`, or move this one away`;
  if (!existsSync(path)) {
    return signsOfUse.some((name) => existsSync(join(home, name)))
      ? `the data folder \`${home}\` is of a Countersign from before format ${format}, whose runs this version cannot go on with; ${wayOut}`
      : null;
  }
  const found = readFormat(path);
  if (found === format) return null;
  const has =
    found === undefined ? `a \`${file}\` that cannot be read` : `format \`${JSON.stringify(found)}\``;
  return `the data folder \`${home}\` has ${has}, and this version reads ${format}; ${wayOut}`;
}

/** Undefined: it does not say one. */
function readFormat(path: string): unknown {
  try {
    return (JSON.parse(readFileSync(path, 'utf8')) as { readonly format?: unknown }).format;
  } catch {
    return undefined;
  }
}

/** Before anything else is written into a new folder. */
export function markDataFormat(home: string): void {
  const path = join(home, file);
  if (!existsSync(path)) writeFileSync(path, `${JSON.stringify({ format })}\n`);
}
