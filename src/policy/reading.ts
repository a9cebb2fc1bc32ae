import { readdir, readFile, stat } from 'node:fs/promises';
import { join, relative } from 'node:path';
import type { PathSegment, Problem } from './problems.js';
import { parseText, problemAt, type Source } from './source.js';

// The files of a folder, and what was found wrong in all of them together.

const topLevel = /^(connections|environments|roles|notifications)\.(ya?ml|json)$/;
const known = [
  topLevel,
  /^[^/]+\.(ya?ml|json)$/,
  /^(tools|flows)\/(?:[^/]+\/)*[^/]+\.(ya?ml|json)$/,
  /^tests\/(?:[^/]+\/)*[^/]+\.test\.(ya?ml|json)$/,
];

export interface Reading {
  readonly root: string;
  readonly sources: Source[];
  readonly errors: Problem[];
  readonly warnings: Problem[];
  /** Where each name was seen first: names are unique over the folder. */
  readonly names: Map<string, string>;
}

export async function readFiles(reading: Reading): Promise<void> {
  const isFolder = await stat(reading.root).then(
    (found) => found.isDirectory(),
    () => false,
  );
  const fail = (code: string, file: string, message: string): void =>
    void reading.errors.push({ code, path: '', file, line: 1, column: 1, message });
  if (!isFolder)
    return fail(
      'NO_FOLDER',
      reading.root,
      `there is no policies folder \`${reading.root}\`: set COUNTERSIGN_POLICIES to one`,
    );
  const entries = await readdir(reading.root, { recursive: true, withFileTypes: true });
  const paths = entries
    .filter((one) => one.isFile() && /\.(ya?ml|json)$/.test(one.name))
    .map((one) => relative(reading.root, join(one.parentPath, one.name)).replaceAll('\\', '/'));
  for (const file of paths.sort()) {
    if (!known.some((one) => one.test(file))) {
      fail(
        'UNKNOWN_PLACE',
        file,
        `the layout has no place for \`${file}\`: use connections.yaml, environments.yaml, roles.yaml, tools/, flows/, tests/*.test.yaml or notifications.yaml`,
      );
      continue;
    }
    const parsed = parseText(await readFile(join(reading.root, file), 'utf8'), file);
    if (parsed.status === 'invalid') reading.errors.push(...parsed.problems);
    else reading.sources.push(parsed.source);
  }
}

export function unique(
  reading: Reading,
  source: Source,
  kind: string,
  name: string,
  path: readonly PathSegment[],
): boolean {
  const key = `${kind} ${name}`;
  const before = reading.names.get(key);
  if (before !== undefined) {
    reading.errors.push(
      problemAt(
        source,
        'DUPLICATE_NAME',
        path,
        `${kind} \`${name}\` is also declared in ${before}: names are unique over the folder`,
        'key',
      ),
    );
    return false;
  }
  reading.names.set(key, source.file ?? 'this document');
  return true;
}
