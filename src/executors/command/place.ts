import { accessSync, constants, realpathSync, statSync } from 'node:fs';
import { isAbsolute, join, resolve } from 'node:path';

// Which program a connection starts, and where: what its command and its folder are on this machine at this moment.

interface Command {
  readonly command: string;
  readonly env: Readonly<Record<string, string>>;
  readonly workingDirectory: string | null;
}

/** The command with its file and its folder as absolute paths, and the program that the file leads to. */
export function locateCommand<T extends Command>(
  given: T,
  baseDirectory: string,
): { readonly command: T; readonly program: string | null } {
  const { command, env, workingDirectory } = given;
  const path = workingPath(baseDirectory, workingDirectory);
  const directory = realPath(path) ?? path;
  const file = fileOf(command, directory, env['PATH'] ?? searchPath());
  const program = file === null ? null : realPath(file);
  // The link and not what it leads to: many programs behave by the name that they were called by.
  return { command: { ...given, command: file ?? command, workingDirectory: directory }, program };
}

/** The `PATH` for commands whose connection declares none. */
export function searchPath(): string {
  return process.env['PATH'] ?? '/usr/local/bin:/usr/bin:/bin';
}

function workingPath(baseDirectory: string, named: string | null): string {
  return named !== null && isAbsolute(named) ? named : resolve(baseDirectory, named ?? '.');
}

/** Null: there is no such folder. Checked here because spawn's error would name the command. */
export function workingDirectory(baseDirectory: string, named: string | null): string | null {
  const path = workingPath(baseDirectory, named);
  return statSync(path, { throwIfNoEntry: false })?.isDirectory() === true ? path : null;
}

/** Looks for the command as the system does: a name with a slash from the folder in which it runs, any other name along the path. */
function fileOf(command: string, directory: string, path: string): string | null {
  if (command.includes('/')) return programAt(resolve(directory, command));
  for (const folder of path.split(':')) {
    const found = programAt(join(resolve(directory, folder), command));
    if (found !== null) return found;
  }
  return null;
}

function programAt(file: string): string | null {
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
