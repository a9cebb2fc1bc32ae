import { inspect } from 'node:util';
import { isUnavailable, makePool } from '../db/index.js';
import type { Config } from './config.js';
import { ForeignStore } from './ownership/own-store.js';

interface DatabaseProblem {
  /** True: it does not answer, as one that is starting does not. False: waiting does not help. */
  readonly isAway: boolean;
  /** For the operator, with what to do. */
  readonly message: string;
}

/** Tries one connection. `remedy`: what to do about a DATABASE_URL that is wrong. Null: Postgres takes it. */
export async function findDatabaseProblem(url: string, remedy: string): Promise<DatabaseProblem | null> {
  const pool = makePool({ url, applicationName: 'countersign-connects', max: 1 });
  try {
    (await pool.connect()).release();
    return null;
  } catch (error) {
    const isAway = isUnavailable(error);
    const what = `the Postgres of DATABASE_URL${placeOf(url) ?? ''} ${isAway ? 'does not answer' : 'takes no connection'}`;
    const toDo = `${isAway ? 'start it, or ' : ''}${remedy}`;
    return { isAway, message: `${what} (${whyNot(error, url)}): ${toDo}` };
  } finally {
    await pool.end();
  }
}

/** The server and the database of a URL, for a sentence; never its password. Null where it cannot be told what is which. */
export function placeOf(url: string): string | null {
  if (!URL.canParse(url)) return null;
  const { host, username, pathname, searchParams } = new URL(url);
  // A password with an unescaped `@`, `/`, `?` or `#` in it may be read as host, or as what is behind it.
  if (url.split('@').length > (username === '' ? 1 : 2)) return null;
  const place = `${host || (searchParams.get('host') ?? '')}${pathname}`;
  return place === '' ? '' : ` (\`${place}\`)`;
}

/** The text of an error may name host and database as they were read, so it is not shown where they may be parts of a password. */
function whyNot(error: unknown, url: string): string {
  const { message, code } = error as { message?: string; code?: string };
  if (placeOf(url) !== null) return message || (code ?? String(error));
  return `${code ?? 'the URL cannot be read'}; check its port, and in its password write \`@\` as \`%40\`, \`/\` as \`%2F\`, \`?\` as \`%3F\` and \`#\` as \`%23\``;
}

/** Why a process ends, for its log; what matters most comes last, because the end of a log is what is shown. */
export async function whyEnded(who: string, error: unknown, { databaseUrl }: Config): Promise<string> {
  if (error instanceof ForeignStore) return error.message;
  const problem =
    databaseUrl === null ? null : await findDatabaseProblem(databaseUrl, 'correct DATABASE_URL');
  if (problem?.isAway === false) return `the ${who} ends: ${problem.message}`;
  return `${inspect(error)}\nthe ${who} ends: ${error instanceof Error ? error.message : String(error)}`;
}
