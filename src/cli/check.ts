import { existsSync, readFileSync, statSync } from 'node:fs';
import { isAbsolute, relative, resolve } from 'node:path';
import { defaultGateTimeoutMs } from '../model/policy-set.js';
import { checkFlowText, loadFolder, type Catalog, type Problem } from '../policy/index.js';
import { CliError } from './rest.js';

export interface Checked {
  readonly path: string;
  readonly valid: boolean;
  readonly errors: readonly Problem[];
  readonly warnings: readonly Problem[];
}

/** Folders as the service would load them; single flows against the tools of the policies folder. No server is asked. */
export async function check(paths: readonly string[], env: NodeJS.ProcessEnv): Promise<Checked[]> {
  const folder = env['COUNTERSIGN_POLICIES'] ?? 'policies';
  const wanted = paths.length === 0 ? [folder] : paths;
  return Promise.all(wanted.map((path) => checkPath(path, folder)));
}

async function checkPath(path: string, folder: string): Promise<Checked> {
  if (!existsSync(path)) throw new CliError(`there is no file or folder \`${path}\``, 2);
  if (statSync(path).isDirectory()) return folderResult(path, path, () => true);
  const within = relative(resolve(folder), resolve(path));
  const inside = !within.startsWith('..') && !isAbsolute(within) && existsSync(folder);
  if (inside) return folderResult(path, folder, (one) => one.file === within.replaceAll('\\', '/'));
  const found = checkFlowText(readFileSync(path, 'utf8'), { catalog: await catalogOf(folder), file: path });
  return {
    path,
    valid: found.status === 'valid',
    errors: found.status === 'invalid' ? found.errors : [],
    warnings: found.warnings,
  };
}

async function folderResult(
  path: string,
  folder: string,
  about: (one: Problem) => boolean,
): Promise<Checked> {
  const loaded = await loadFolder(folder);
  const errors = (loaded.status === 'invalid' ? loaded.errors : []).filter(about);
  return { path, valid: errors.length === 0, errors, warnings: loaded.warnings.filter(about) };
}

/** Without a policies folder there are no tools, and the default environments. */
async function catalogOf(folder: string): Promise<Catalog> {
  if (existsSync(folder)) {
    const loaded = await loadFolder(folder);
    if (loaded.status === 'loaded') return loaded.catalog;
    throw new CliError(
      `the tools of \`${folder}\` have errors: run \`countersign check ${folder}\` first`,
      1,
    );
  }
  const environments = ['dev', 'staging', 'prod'].map((name) => ({
    name,
    requireTiers: false,
    refuseWarnings: false,
    gateTimeoutMs: defaultGateTimeoutMs,
  }));
  return {
    policySet: { v: 1, baseDirectory: resolve('.'), connections: [], environments, roles: [], queues: [] },
    tools: [],
  };
}

export function checkLines(results: readonly Checked[]): string[] {
  const line = (
    path: string,
    kind: string,
    { file, line, column, code, message, suggestion }: Problem,
  ): string =>
    `${file === undefined || path.endsWith(file) ? path : `${path}/${file}`}:${line}:${column}: ${kind} ${code}: ${message}${suggestion === undefined ? '' : ` (did you mean \`${suggestion}\`?)`}`;
  return results.flatMap(({ path, valid, errors, warnings }) => [
    ...errors.map((one) => line(path, 'error', one)),
    ...warnings.map((one) => line(path, 'warning', one)),
    valid ? `${path}: valid` : `${path}: ${errors.length} error${errors.length === 1 ? '' : 's'}`,
  ]);
}
