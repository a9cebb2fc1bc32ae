import { accessSync, constants, realpathSync, statSync } from 'node:fs';
import { isAbsolute, join, resolve } from 'node:path';
import type { Connection } from '../../model/policy-set.js';

// Which program a connection starts, and where: what its command and its folder stand for on this machine, now.

export interface Placed {
  /** Its command and its working directory are absolute, where there are such. */
  readonly connection: Connection;
  /** The file behind the command, and behind every link to it. Null: it starts none, or there is no such file. */
  readonly program: string | null;
}

type Command = Extract<Connection, { kind: 'cli' }>;

/** Of a connection whose PATH is resolved, where it has one of its own. */
export function placed(connection: Connection, baseDirectory: string): Placed {
  if (connection.kind === 'cli') {
    const { program, ...found } = find(connection, baseDirectory);
    return { connection: { ...connection, ...found }, program };
  }
  if (connection.kind !== 'mcp' || connection.transport.kind !== 'stdio')
    return { connection, program: null };
  const { program, ...found } = find(connection.transport, baseDirectory);
  return { connection: { kind: 'mcp', transport: { ...connection.transport, ...found } }, program };
}

function find(
  { command, env, workingDirectory }: Pick<Command, 'command' | 'env' | 'workingDirectory'>,
  baseDirectory: string,
): { command: string; workingDirectory: string; program: string | null } {
  const path = workingPath(baseDirectory, workingDirectory);
  const directory = realPath(path) ?? path;
  const file = fileOf(command, directory, env['PATH'] ?? searchPath());
  const program = file === null ? null : realPath(file);
  // The link and not what it leads to: many programs ask by which name they were called.
  return { command: file ?? command, workingDirectory: directory, program };
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
