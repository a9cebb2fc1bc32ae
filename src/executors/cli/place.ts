import { accessSync, constants, realpathSync, statSync } from 'node:fs';
import { isAbsolute, join, resolve } from 'node:path';
import type { CliConnection } from './types.js';

// Which program a connection starts, and where: what its command and its folder stand for on this machine, now.

type Command = Pick<CliConnection, 'command' | 'env' | 'workingDirectory'>;

/** The same command, absolute, with its folder; and the program behind it. */
export function placeCommand<T extends Command>(
  given: T,
  baseDirectory: string,
): { readonly command: T; readonly program: string | null } {
  const { command, env, workingDirectory } = given;
  const path = workingPath(baseDirectory, workingDirectory);
  const directory = realPath(path) ?? path;
  const file = fileOf(command, directory, env['PATH'] ?? searchPath());
  const program = file === null ? null : realPath(file);
  // The link and not what it leads to: many programs ask by which name they were called.
  return { command: { ...given, command: file ?? command, workingDirectory: directory }, program };
}

/** Where commands are looked for whose connection says nothing else. */
export function searchPath(): string {
  return process.env['PATH'] ?? '/usr/local/bin:/usr/bin:/bin';
}

export function workingPath(baseDirectory: string, named: string | null): string {
  return named !== null && isAbsolute(named) ? named : resolve(baseDirectory, named ?? '.');
}

/** As the system looks for it: a name with a slash from the folder in which it runs, another one along the path. */
function fileOf(command: string, directory: string, path: string): string | null {
  if (command.includes('/')) return isProgram(resolve(directory, command));
  for (const folder of path.split(':')) {
    const found = isProgram(join(resolve(directory, folder), command));
    if (found !== null) return found;
  }
  return null;
}

function isProgram(file: string): string | null {
  try {
    if (!statSync(file).isFile()) return null;
    accessSync(file, constants.X_OK);
    return file;
  } catch {
    return null;
  }
}

export function realPath(path: string): string | null {
  try {
    return realpathSync.native(path);
  } catch {
    return null;
  }
}
