import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

// The format of the data folder's files. It changes only when this version can no longer read older data.

const format = 2;
const file = 'format.json';
/** Files that a used data folder has. A folder with one of them and without a format is from before formats were written. */
const signsOfUse = ['postgres.json', 'postgres', 'temporal', 'processes.json'];

/** Why a data folder may not be used, in a sentence that says what to do; null: it may. Changes nothing in it. */
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

/** The format that the file names; undefined: it names none. */
function readFormat(path: string): unknown {
  try {
    return (JSON.parse(readFileSync(path, 'utf8')) as { readonly format?: unknown }).format;
  } catch {
    return undefined;
  }
}

/** Writes the format. Called before anything else is written into a new folder. */
export function markDataFormat(home: string): void {
  const path = join(home, file);
  if (!existsSync(path)) writeFileSync(path, `${JSON.stringify({ format })}\n`);
}
