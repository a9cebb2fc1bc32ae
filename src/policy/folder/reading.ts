import { readdir, readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import type { FindingCode } from '../text/findings.js';
import type { Finding, PathSegment } from '../text/problems.js';
import { parseFile } from '../text/bytes.js';
import { problemAt, type Source } from '../text/source.js';

// Reads the files of a policies folder, and collects what is wrong in them.

const layout = [
  /^(connections|environments|roles|notifications)\.(ya?ml|json)$/,
  /^(tools|flows)\/[^/]+\.(ya?ml|json)$/,
  /^tests\/[^/]+\.test\.(ya?ml|json)$/,
];

/** Endings of files in which somebody wrote policies: those that are read, and those that editors and habit put in their place. */
const policyEnding = /\.(?:ya?ml|json[c5]?)(?:\.txt)?[\s.]*$/i;
/** The same for the names that stand at the top, which mean nothing but policies. */
const policyName = /^(?:connections|environments|roles|notifications)(?:\.(?:txt|toml|hjson))?[\s.]*$/i;

const maxFolders = 8;

export interface Reading {
  readonly root: string;
  readonly sources: Source[];
  readonly errors: Finding[];
  readonly warnings: Finding[];
  /** The file where each `kind name` was seen first: names are unique over the folder. */
  readonly names: Map<string, string>;
  /** The same in lower case, with the name as it is written. */
  readonly lower: Map<string, string>;
  /** Warnings that belong to no flow and no tool: they are acknowledged at the top of the file. */
  readonly fileWarnings: Finding[];
  /** Names of tools that do not fit their shape; null for a tool whose name cannot be read either. */
  readonly unreadTools: Set<string | null>;
  /** Files that were not checked in full, each with the errors that have to be mended first. */
  readonly unchecked: Map<string, readonly Finding[]>;
}

export async function readFiles(reading: Reading): Promise<void> {
  const isFolder = await stat(reading.root).then(
    (found) => found.isDirectory(),
    () => false,
  );
  const fail = (code: FindingCode, file: string, message: string): void =>
    void reading.errors.push({ code, path: '', file, line: 1, column: 1, message });
  if (!isFolder)
    return fail(
      'NO_FOLDER',
      reading.root,
      `there is no policies folder \`${reading.root}\`: set COUNTERSIGN_POLICIES to one`,
    );
  const paths = await policyFiles(reading.root, '', 0);
  for (const file of paths.sort()) {
    if (!layout.some((place) => place.test(file))) {
      fail(
        'UNKNOWN_PLACE',
        file,
        `the layout has no place for \`${file}\`: use connections.yaml, environments.yaml, roles.yaml, tools/*.yaml, flows/*.yaml, tests/*.test.yaml or notifications.yaml`,
      );
      continue;
    }
    const parsed = parseFile(await readFile(join(reading.root, file)).catch(() => null), file);
    if (parsed.status === 'invalid') reading.errors.push(...parsed.problems);
    else if (parsed.source.value === null) reading.errors.push(emptyFile(parsed.source));
    else reading.sources.push(parsed.source);
  }
}

/** An error for an empty file: nobody writes one on purpose, and a file that was cut off looks like it. */
export function emptyFile(source: Source): Finding {
  const file = source.file ?? 'this document';
  return problemAt(
    source,
    'EMPTY_FILE',
    [],
    `\`${file}\` declares nothing: was it cut off? write what belongs there, or remove the file`,
  );
}

/** False, with an error, where the name is declared already. */
export function claimName(
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
  const lower = key.toLowerCase();
  const same = reading.lower.get(lower);
  if (same !== undefined)
    reading.fileWarnings.push(
      problemAt(
        source,
        'NAMES_DIFFER_IN_CASE',
        path,
        `${kind}s \`${same}\` and \`${name}\` differ in case only`,
        'key',
      ),
    );
  reading.lower.set(lower, name);
  return true;
}

/** Paths of files that are meant as policies, also where nothing reads them under their name. Links are followed, because a mounted ConfigMap has them; hidden files are not policies. */
async function policyFiles(root: string, under: string, depth: number): Promise<string[]> {
  if (depth > maxFolders) return [];
  const names = (await readdir(join(root, under))).filter((name) => !name.startsWith('.')).sort();
  const found: string[] = [];
  for (const name of names) {
    const path = under === '' ? name : `${under}/${name}`;
    const kind = await stat(join(root, path)).then(
      (stats) => (stats.isDirectory() ? 'folder' : 'file'),
      () => 'file',
    );
    if (kind === 'folder') found.push(...(await policyFiles(root, path, depth + 1)));
    else if (policyEnding.test(name) || policyName.test(path)) found.push(path);
  }
  return found;
}
