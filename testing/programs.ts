import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { projectRoot } from './paths.js';

/**
 * What node is given to run this TypeScript file of the project: compiled where `npm test` has done that
 * (`scripts/compile-tests.mjs` names such files), since to translate it takes a second of a core each time.
 */
export function programArgs(path: string): readonly string[] {
  const folder = process.env['TEST_COMPILED'];
  const compiled = folder === undefined ? '' : join(folder, path.replace(/\.ts$/, '.js'));
  return existsSync(compiled) ? [compiled] : ['--import', 'tsx', join(projectRoot, path)];
}
