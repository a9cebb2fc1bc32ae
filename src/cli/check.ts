import { existsSync, readFileSync, realpathSync, statSync } from 'node:fs';
import { isAbsolute, join, relative, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { addressVariable, exampleServices } from '../model/example-services.js';
import { defaultGateTimeoutMs } from '../model/policy-set.js';
import { whyUnset } from '../executors/connections/references.js';
import { checkFlowText, loadFolder, unsetWarnings, type Catalog, type Finding } from '../policy/index.js';
import { decodeFile } from '../policy/text/bytes.js';
import type { Command } from './options.js';
import { CliError, policiesOf } from './rest.js';
import { toSarif } from './sarif.js';

export interface Checked {
  readonly path: string;
  readonly valid: boolean;
  /** False: part of it could not be checked; `errors` are then those of other files, which must be corrected first. */
  readonly checked: boolean;
  readonly errors: readonly Finding[];
  readonly warnings: readonly Finding[];
}

const formats = ['text', 'json', 'sarif'];

/** `npx countersign check`: checks policies folders as the service would load them, without asking a server. */
export const checkCommand: Command = {
  takes: ['…paths'],
  options: ['format'],
  what: 'check policies folders and flows on this machine, without a server (--format sarif)',
  run: async ({ args, values, terminal }) => {
    const { format = values.json ? 'json' : 'text' } = values;
    if (!formats.includes(format))
      throw new CliError(`--format must be one of ${formats.join(', ')}, not \`${format}\``, 2);
    if (values.json && format !== 'json')
      throw new CliError(`give --json or --format ${format}, not both`, 2);
    const results = await check(args, terminal.env);
    const exitCode = results.every((result) => result.valid) ? 0 : 1;
    const json = format === 'sarif' ? toSarif(results) : results;
    return {
      json,
      lines: format === 'text' ? checkLines(results) : JSON.stringify(json, null, 2).split('\n'),
      exitCode,
    };
  },
};

/** A flow outside of the policies folder is checked against that folder's tools. Without paths, the policies folder is checked. */
export async function check(paths: readonly string[], env: NodeJS.ProcessEnv): Promise<Checked[]> {
  const folder = policiesOf(env);
  const wanted = paths.length === 0 ? [folder] : paths;
  return Promise.all(wanted.map((path) => checkPath(path, folder, env)));
}

async function checkPath(path: string, folder: string, env: NodeJS.ProcessEnv): Promise<Checked> {
  if (!existsSync(path)) throw new CliError(`there is no file or folder \`${path}\``, 2);
  const isFolder = statSync(path).isDirectory();
  const within = relative(resolve(folder), resolve(path)).replaceAll('\\', '/');
  const inside = within !== '' && !within.startsWith('..') && !isAbsolute(within) && existsSync(folder);
  if (inside)
    return folderResult(path, folder, env, ({ file = '' }) =>
      isFolder ? file.startsWith(`${within}/`) : file === within,
    );
  if (isFolder) return folderResult(path, path, env, () => true);
  const catalog = await catalogOf(folder);
  const read = decodeFile(readFileSync(path), path);
  if (read.status === 'invalid')
    return { path, valid: false, checked: true, errors: read.problems, warnings: [] };
  const found = checkFlowText(read.text, { catalog, file: path, media: read.media });
  return {
    path,
    valid: found.status === 'valid',
    checked: true,
    errors: found.status === 'invalid' ? found.errors : [],
    warnings: found.warnings,
  };
}

const shippedPolicies = fileURLToPath(new URL('../../policies', import.meta.url));
/** `npm start` gives the shipped policies the addresses of the example services. */
const exampleAddresses = Object.fromEntries(
  exampleServices.map((name) => [addressVariable(name), 'http://127.0.0.1']),
);

function isSame(folder: string, other: string): boolean {
  return existsSync(folder) && existsSync(other) && realpathSync(folder) === realpathSync(other);
}

async function folderResult(
  path: string,
  folder: string,
  env: NodeJS.ProcessEnv,
  about: (finding: Pick<Finding, 'file'>) => boolean,
): Promise<Checked> {
  const loaded = await loadFolder(folder);
  const given = isSame(folder, shippedPolicies) ? { ...exampleAddresses, ...env } : env;
  const values = { env: given, secretsDirectory: env['COUNTERSIGN_SECRETS'] || null };
  const unset =
    loaded.status === 'loaded'
      ? await unsetWarnings(loaded.references, (reference) => whyUnset(reference, values))
      : [];
  const own = (loaded.status === 'invalid' ? loaded.errors : []).filter(about);
  const left = loaded.status === 'invalid' && own.length === 0 ? [...loaded.unchecked] : [];
  const first = new Set(left.flatMap(([file, before]) => (about({ file }) ? before : [])));
  const errors = [...own, ...first].map(withPathFrom(folder));
  const warnings = [...loaded.warnings, ...unset].filter(about).map(withPathFrom(folder));
  return { path, valid: errors.length === 0, checked: first.size === 0, errors, warnings };
}

/** Findings name files as seen from the policies folder; a user opens them from where the command ran. */
function withPathFrom(folder: string): (finding: Finding) => Finding {
  return (finding) =>
    finding.file === undefined || isAbsolute(finding.file)
      ? finding
      : { ...finding, file: join(folder, finding.file) };
}

/** The tools and environments of the folder; without a folder, no tools and the default environments. */
async function catalogOf(folder: string): Promise<Catalog> {
  if (existsSync(folder)) {
    const loaded = await loadFolder(folder);
    if (loaded.status === 'loaded') return loaded.catalog;
    throw new CliError(
      `the tools of \`${folder}\` have errors: run \`npx countersign check ${folder}\` first`,
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

function checkLines(results: readonly Checked[]): string[] {
  const line = (kind: string, path: string, finding: Finding): string =>
    `${finding.file ?? path}:${finding.line}:${finding.column}: ${kind} ${finding.code}: ${finding.message}${finding.acknowledged === undefined ? '' : ` (acknowledged: ${finding.acknowledged})`}`;
  return results.flatMap(({ path, valid, checked, errors, warnings }) => [
    ...errors.map((finding) => line('error', path, finding)),
    ...warnings.map((finding) => line('warning', path, finding)),
    checked
      ? `${path}: ${valid ? 'valid' : `${errors.length} error${errors.length === 1 ? '' : 's'}`}`
      : `${path}: not checked: the folder cannot be read as a whole until the files named above are corrected`,
  ]);
}
