import { setTimeout as delay } from 'node:timers/promises';
import { inspect } from 'node:util';
import { UnusableKey } from '../../auth/index.js';
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
  const tell = (isAway: boolean, what: string, then: string): DatabaseProblem => ({
    isAway,
    message: `the Postgres of DATABASE_URL${place} ${what}: ${then}`,
  });
  try {
    const { rows } = await pool.query<{ on: string }>(
      `select current_setting('transaction_read_only') as "on"`,
    );
    if (rows[0]?.on !== 'on') return null;
    return tell(true, 'takes no writes now (it is read-only, as a standby is)', `wait, or ${remedy}`);
  } catch (error) {
    if (!isUnavailable(error)) return tell(false, `takes no connection (${whyOf(error)})`, remedy);
    return tell(true, describeAway(error), `${isAnswer(error) ? 'wait' : 'start it'}, or ${remedy}`);
  } finally {
    // A client that could not even be made stays in its pool, which then does not end.
    await Promise.race([pool.end(), delay(1_000)]);
  }
}

const codeOf = (error: unknown): string =>
  error instanceof Error && 'code' in error && typeof error.code === 'string' ? error.code : '';

/** A key may stand where the path of its file belongs, so the message of a file that cannot be read is not quoted. */
const whyOf = (error: unknown): string =>
  error instanceof Error && 'syscall' in error && error.syscall === 'open'
    ? `a file that its \`sslkey\`, \`sslcert\` or \`sslrootcert\` names cannot be read: ${codeOf(error)}`
    : (error instanceof Error ? error.message : '') || codeOf(error) || String(error);

/** A code that begins with a digit is from Postgres itself. */
const isAnswer = (error: unknown): boolean => /^\d/.test(codeOf(error));

/** Continues `Postgres …` for an error of `isUnavailable`. Where Postgres has answered, says what. */
function describeAway(error: unknown): string {
  const why = `(${whyOf(error)})`;
  if (!isAnswer(error)) return `does not answer ${why}`;
  const code = codeOf(error);
  if (code === '25006') return `takes no writes now ${why}`;
  return /^(08|57P|53300)/.test(code) ? `takes no connection now ${why}` : `answers with an error ${why}`;
}

/** Repeats `act` until the store answers: it may still be starting. `say` hears each reason once. */
export async function retryUntilStoreAnswers<T>(
  who: string,
  say: (line: string) => void,
  act: () => Promise<T>,
): Promise<T> {
  const said = new Set<string>();
  for (;;) {
    try {
      return await act();
    } catch (error) {
      if (!isUnavailable(error)) throw error;
      const line = `the ${who} waits for Postgres, which ${describeAway(error)}`;
      if (!said.has(line)) say(line);
      said.add(line);
      await delay(250);
    }
  }
}

/** Why a process ends, for its log; what matters most comes last, because the end of a log is what is shown. */
export async function whyEnded(who: string, error: unknown, { databaseUrl }: Config): Promise<string> {
  if (error instanceof ForeignStore) return error.message;
  if (error instanceof UnusableKey) return `the ${who} ends: ${error.message}`;
  const problem =
    databaseUrl === null ? null : await findDatabaseProblem(databaseUrl, 'correct DATABASE_URL');
  if (problem?.isAway === false) return `the ${who} ends: ${problem.message}`;
  return `${inspect(error)}\nthe ${who} ends: ${error instanceof Error ? error.message : String(error)}`;
}

/** Of the end of a log: why its process ended the last time, as `whyEnded` writes it, without the times before; else all that there is. */
export function lastReason(tail: string): string {
  return tail.split(/^(?=the (?:API|worker) ends: )/m).at(-1) ?? tail;
}
