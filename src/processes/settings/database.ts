import { inspect } from 'node:util';
import { isUnavailable, makePool } from '../../db/index.js';
import { placeOf, unreadableUrl, type Config } from './config.js';
import { ForeignStore } from '../ownership/own-store.js';

interface DatabaseProblem {
  /** True: it does not answer, or takes no connection yet, as one that is starting does not. False: waiting does not help. */
  readonly isAway: boolean;
  /** For the operator, with what to do. */
  readonly message: string;
}

/** Tries one connection. `remedy`: what to do about a DATABASE_URL that is wrong. Null: Postgres takes it. */
export async function findDatabaseProblem(url: string, remedy: string): Promise<DatabaseProblem | null> {
  const place = placeOf(url);
  if (place === null) return { isAway: false, message: `DATABASE_URL ${unreadableUrl}` };
  // Not `countersign connects`: it is none of the `connectedProcesses`, whose names begin with `countersign` and a space.
  const pool = makePool({ url, applicationName: 'countersign-connects', max: 1 });
  try {
    (await pool.connect()).release();
    return null;
  } catch (error) {
    const { message, code = '' } = error as { message?: string; code?: string };
    const isAway = isUnavailable(error);
    const [what, first] = !isAway
      ? ['takes no connection', '']
      : // A code that begins with a digit is from Postgres itself.
        /^\d/.test(code)
        ? ['takes no connection now', 'wait, or ']
        : ['does not answer', 'start it, or '];
    const why = message || code || String(error);
    return { isAway, message: `the Postgres of DATABASE_URL${place} ${what} (${why}): ${first}${remedy}` };
  } finally {
    await pool.end();
  }
}

/** Why a process ends, for its log; what matters most comes last, because the end of a log is what is shown. */
export async function whyEnded(who: string, error: unknown, { databaseUrl }: Config): Promise<string> {
  if (error instanceof ForeignStore) return error.message;
  const problem =
    databaseUrl === null ? null : await findDatabaseProblem(databaseUrl, 'correct DATABASE_URL');
  if (problem?.isAway === false) return `the ${who} ends: ${problem.message}`;
  return `${inspect(error)}\nthe ${who} ends: ${error instanceof Error ? error.message : String(error)}`;
}
