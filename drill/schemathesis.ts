import { execFile } from 'node:child_process';
import { existsSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { projectRoot } from '../testing/paths.js';

const run = promisify(execFile);

/** A Python environment of this project's own; git ignores it. */
const folder = join(projectRoot, '.schemathesis');
const requirements = join(projectRoot, 'drill', 'schemathesis.txt');

/** Installs exactly what `schemathesis.txt` names, unless that is done already. Gives the path of the program. */
export async function installSchemathesis(say: (line: string) => void): Promise<string> {
  const program = join(folder, 'bin', 'schemathesis');
  const stamp = join(folder, 'installed.txt');
  const wanted = readFileSync(requirements, 'utf8');
  if (existsSync(stamp) && readFileSync(stamp, 'utf8') === wanted) return program;
  say('installing schemathesis into .schemathesis');
  rmSync(folder, { recursive: true, force: true });
  try {
    await run('python3', ['-m', 'venv', folder]);
    const pip = ['install', '--quiet', '--disable-pip-version-check', '--no-deps', '-r', requirements];
    await run(join(folder, 'bin', 'pip'), pip);
  } catch (error) {
    throw new Error(
      `schemathesis could not be installed: it needs Python 3.10 or newer with venv, and PyPI (${String(error)})`,
      { cause: error },
    );
  }
  writeFileSync(stamp, wanted);
  return program;
}
