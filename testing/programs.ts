import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { projectRoot } from './paths.js';

/**
 * The arguments with which node runs this TypeScript file of the project. It runs the compiled file if `npm test` has made one
 * (`scripts/compile-tests.mjs` names such files), since to translate the source takes a second of a core each time.
 */
export function programArgs(path: string): readonly string[] {
  const folder = process.env['TEST_COMPILED'];
  const compiled = folder === undefined ? '' : join(folder, path.replace(/\.ts$/, '.js'));
  return existsSync(compiled) ? [compiled] : ['--import', 'tsx', join(projectRoot, path)];
}
