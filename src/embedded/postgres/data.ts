import { createHash, randomBytes } from 'node:crypto';
import {
  chmodSync,
  chownSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  realpathSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { canEnter, sharedRoot, type PostgresUser } from './binaries.js';
import { runCommand, writeAtomically, type Say } from '../process/system.js';

/** What COUNTERSIGN_HOME remembers of its database, in a file that only its owner can read. */
export interface PostgresRecord {
  /** Also written beside the data, so that a home that was deleted and made anew does not get the old data. */
  readonly id: string;
  readonly password: string;
  readonly dataDir: string;
}

export const superuser = 'countersign';

/** Reads the record, or makes it and decides where the data will be. */
export function openRecord(home: string, user: PostgresUser | null): PostgresRecord {
  const file = join(home, 'postgres.json');
  if (existsSync(file)) return JSON.parse(readFileSync(file, 'utf8')) as PostgresRecord;
  const record = {
    id: randomBytes(16).toString('hex'),
    password: randomBytes(24).toString('base64url'),
    dataDir: chooseDataDir(home, user),
  };
  writeAtomically(file, `${JSON.stringify(record, null, 2)}\n`, 0o600);
  return record;
}

function chooseDataDir(home: string, user: PostgresUser | null): string {
  if (user === null || canEnter(home, user)) return join(realpathSync(home), 'postgres');
  const hash = createHash('sha256').update(realpathSync(home)).digest('hex').slice(0, 16);
  return join(sharedRoot, hash, 'postgres');
}

export interface InitOptions {
  readonly bin: string;
  readonly user: PostgresUser | null;
  readonly record: PostgresRecord;
  readonly say: Say;
  /** The data is thrown away (tests): the disk is not waited for. */
  readonly disposable: boolean;
}

/** Makes the data folder where there is none; never leaves a half-made folder under its name. */
export async function ensureData(options: InitOptions): Promise<void> {
  const { record, say } = options;
  const owner = join(dirname(record.dataDir), 'postgres.owner');
  if (existsSync(record.dataDir)) {
    if (!existsSync(owner) || readFileSync(owner, 'utf8') === record.id) return;
    // The home of this data was deleted: the data is set aside, in place of what was set aside before.
    const aside = `${record.dataDir}.old`;
    say(`setting aside the database of a deleted data folder: \`${aside}\``);
    rmSync(aside, { recursive: true, force: true });
    renameSync(record.dataDir, aside);
  }
  say('creating the database');
  mkdirSync(dirname(record.dataDir), { recursive: true, mode: 0o755 });
  const fresh = `${record.dataDir}.new`;
  rmSync(fresh, { recursive: true, force: true });
  mkdirSync(fresh, { mode: 0o700 });
  if (options.user !== null) chownSync(fresh, options.user.uid, options.user.gid);
  await initdb(fresh, options);
  writeFileSync(owner, record.id, { mode: 0o600 });
  renameSync(fresh, record.dataDir);
}

async function initdb(folder: string, { bin, user, record, disposable }: InitOptions): Promise<void> {
  const secrets = mkdtempSync(join(tmpdir(), 'countersign-'));
  const passwordFile = join(secrets, 'password');
  writeFileSync(passwordFile, record.password, { mode: 0o600 });
  if (user !== null) {
    chownSync(secrets, user.uid, user.gid);
    chownSync(passwordFile, user.uid, user.gid);
  }
  chmodSync(secrets, 0o700);
  try {
    const args = [
      `--pgdata=${folder}`,
      `--username=${superuser}`,
      `--pwfile=${passwordFile}`,
      '--auth=scram-sha-256',
      '--encoding=UTF8',
      '--locale=C',
      ...(disposable ? ['--no-sync'] : []),
    ];
    const as = user === null ? {} : { uid: user.uid, gid: user.gid };
    const done = await runCommand(join(bin, 'initdb'), args, { ...as, cwd: '/', env: postgresEnv() });
    if (done.code !== 0) throw new Error(`initdb failed: ${(done.stderr + done.stdout).trim()}`);
  } finally {
    rmSync(secrets, { recursive: true, force: true });
  }
}

/** No PG* variable of the user's shell reaches our server. */
export function postgresEnv(): Record<string, string> {
  return { PATH: process.env['PATH'] ?? '/usr/bin:/bin', LC_ALL: 'C', TZ: 'UTC' };
}
