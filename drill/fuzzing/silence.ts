import { setTimeout as sleep } from 'node:timers/promises';
import { runConcurrently } from '../../bench/measure.js';
import { makePool, type Pool } from '../../src/db/index.js';
import type { Stack } from '../../testing/servers/stack.js';
import { ask, codeOf } from './ask.js';

// Finds runs that no longer answer: submits to each run, and looks in the store for work that is left undone.

/** How long a run may take for an answer. */
const answerMs = 30_000;

/** Lists which of these runs do not answer, and what any run of the store leaves undone. */
export async function findSilentRuns(stack: Stack, runs: readonly string[]): Promise<string[]> {
  const silent: string[] = [];
  const queue = [...runs];
  await runConcurrently(runs.length, 8, async () => {
    const run = queue.shift();
    const problem = run === undefined ? null : await askRun(stack, run);
    if (problem !== null) silent.push(`${run}: ${problem}`);
  });
  const pool = makePool({ url: stack.databaseUrl, applicationName: 'drill', max: 1 });
  try {
    return [...silent, ...(await findUnfinished(pool))];
  } finally {
    await pool.end();
  }
}

/** Null: the run answers a submit, with whatever answer. `RUN_BUSY` does not count: the API may say so without asking the run. */
async function askRun(stack: Stack, run: string): Promise<string | null> {
  const body = Buffer.from('{"arguments":{"text":"ok, the end"}}');
  const headers = { 'content-type': 'application/json' };
  const path = `/v1/runs/${run}/transitions/note?wait=${answerMs / 1_000}`;
  const end = Date.now() + answerMs;
  for (;;) {
    const request = { method: 'POST', path, headers, body, truncated: false, by: 'agent' };
    const { status, text } = await ask(stack, request);
    if (status === 0 || status === 202 || status >= 500) return String(status);
    if (codeOf(text) !== 'RUN_BUSY') return null;
    if (Date.now() > end) return `${status} RUN_BUSY for ${answerMs} ms`;
    await sleep(200);
  }
}

const unfinishedWork = `
  select run || ': message ' || id || ' (' || kind || ') has no answer' as what from message
   where withdrawn_at is null and answer is null and (kind <> 'start' or rev is null)
  union all
  select id || ': has not begun' from run where rev = 0 and status in ('running', 'waiting')
  union all
  select id || ': ' || executing || ' is executing' from run where executing is not null
  order by 1`;

/** How long runs may take to finish: longer than the lease of an execution here. */
const finishMs = 60_000;

/** Lists what is still to be done `finishMs` after the last request. */
async function findUnfinished(pool: Pool): Promise<string[]> {
  const end = Date.now() + finishMs;
  for (;;) {
    const { rows } = await pool.query<{ what: string }>(unfinishedWork);
    if (rows.length === 0 || Date.now() > end) return rows.map(({ what }) => what);
    await sleep(200);
  }
}
