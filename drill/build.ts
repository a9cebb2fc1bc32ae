import { execFile } from 'node:child_process';
import { createHash } from 'node:crypto';
import { appendFileSync, cpSync, mkdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { projectRoot } from '../testing/paths.js';

export interface Build {
  readonly root: string;
  /** The start of the SHA-256 of the workflow bundle that its worker runs. */
  readonly bundle: string;
}

export function buildOf(root: string): Build {
  const bundle = readFileSync(join(root, 'dist', 'workflow-bundle.js'));
  return { root, bundle: createHash('sha256').update(bundle).digest('hex').slice(0, 12) };
}

/** Copies the sources into a folder, adds a version to the workflow code, and builds them with the project's own script. */
export async function makeNewBuild(folder: string, version: string): Promise<Build> {
  mkdirSync(folder, { recursive: true });
  for (const part of ['src', 'examples', 'scripts', 'package.json', 'package-lock.json', 'tsconfig.json'])
    cpSync(join(projectRoot, part), join(folder, part), { recursive: true });
  symlinkSync(join(projectRoot, 'node_modules'), join(folder, 'node_modules'));
  const index = join(folder, 'src', 'workflows', 'index.ts');
  appendFileSync(index, `\nexport const buildOfTheDrill = '${version}';\n`);
  await promisify(execFile)(process.execPath, [join(folder, 'scripts', 'build.mjs')], { cwd: folder });
  return buildOf(folder);
}

/** Copies the existing build into a folder and marks its workflow bundle: whoever compares builds sees a different one. */
export function copyBuild(folder: string, version: string): Build {
  mkdirSync(folder, { recursive: true });
  for (const part of ['dist', 'package.json'])
    cpSync(join(projectRoot, part), join(folder, part), { recursive: true });
  symlinkSync(join(projectRoot, 'node_modules'), join(folder, 'node_modules'));
  const bundle = join(folder, 'dist', 'workflow-bundle.js');
  writeFileSync(bundle, `/* ${version} */ ${readFileSync(bundle, 'utf8')}`);
  return buildOf(folder);
}
