import { setTimeout as sleep } from 'node:timers/promises';
import { runConcurrently } from '../../bench/measure.js';
import { makePool, type Pool } from '../../src/db/index.js';
import type { Stack } from '../../testing/servers/stack.js';
import { ask, codeOf } from './ask.js';

// Runs that answer no more: what they do when they are asked, and what the store says of all of them.

/** How long a run may take for an answer. */
const answerMs = 30_000;

/** Those of these runs that do not answer, and what any run of the store leaves undone. */
export async function findSilentRuns(stack: Stack, runs: readonly string[]): Promise<string[]> {
  const silent: string[] = [];
  const queue = [...runs];
  await runConcurrently(runs.length, 8, async () => {
    const run = queue.shift();
    const told = run === undefined ? null : await askRun(stack, run);
    if (told !== null) silent.push(`${run}: ${told}`);
  });
  const pool = makePool({ url: stack.databaseUrl, applicationName: 'drill', max: 1 });
  try {
    return [...silent, ...(await findLeft(pool))];
  } finally {
    await pool.end();
  }
}

/** Null: it answers a submit, whatever it answers. `RUN_BUSY` may be the API's own word, without asking the run. */
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

const left = `
  select run || ': message ' || id || ' (' || kind || ') has no answer' as what from message
   where withdrawn_at is null and answer is null and (kind <> 'start' or rev is null)
  union all
  select id || ': has not begun' from run where rev = 0 and status in ('running', 'waiting')
  union all
  select id || ': ' || executing || ' is executing' from run where executing is not null
  order by 1`;

/** Longer than the lease of an execution here. */
const leftMs = 60_000;

/** What is still to be done so long after the last request. */
async function findLeft(pool: Pool): Promise<string[]> {
  const end = Date.now() + leftMs;
  for (;;) {
    const { rows } = await pool.query<{ what: string }>(left);
    if (rows.length === 0 || Date.now() > end) return rows.map(({ what }) => what);
    await sleep(200);
  }
}
