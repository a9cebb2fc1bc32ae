import { setMaxListeners } from 'node:events';
import { makeServiceChain } from '../../src/audit/index.js';
import { listen } from '../../src/db/index.js';
import type { Principal } from '../../src/model/principal.js';
import { makeFeed } from '../../src/service/index.js';
import { noteStatements } from '../../testing/servers/statements.js';
import { copies } from '../../testing/many-rows.js';
import type { ManyRows } from './store.js';

export interface Told {
  /** Milliseconds from the commit of a record to the moment in which a stream has it, for each record and stream. */
  readonly ms: number[];
  /** How many statements the process's pool has sent for each record. */
  readonly statements: number;
}

const streamsPerPrincipal = 20;

/** Opens the streams, twenty for each principal; a principal sees only runs of its own role. Then writes the records one by one. */
export async function measureStreams({ ground }: ManyRows, streams: number, records: number): Promise<Told> {
  const { database } = ground;
  const { pool, statements } = noteStatements(database.pool);
  const chain = makeServiceChain({ pool: database.pool, kind: 'api' });
  const feed = await makeFeed({ pool, listen: (channels, wake) => listen(database.url, channels, wake) });
  const end = new AbortController();
  setMaxListeners(0, end.signal);
  const size = await feed.size();
  const told: number[] = [];
  let committed = Infinity;
  let left = 0;
  let allTold = (): void => undefined;
  const followers = Array.from({ length: streams }, (_, n) => {
    const principal = readerOf(Math.floor(n / streamsPerPrincipal));
    return { principal, follower: feed.follow(size - 1, principal.id) };
  });
  const lives = followers.map(async ({ principal, follower }) => {
    while (!end.signal.aborted) {
      const items = await follower.next(end.signal);
      const seen = await feed.sights.visible(principal, items);
      if (seen.length === 0) continue;
      told.push(performance.now() - committed);
      left -= 1;
      if (left === 0) allTold();
    }
  });
  const write = async (n: number): Promise<void> => {
    left = streams;
    const all = new Promise<void>((resolve) => (allTold = resolve));
    await chain.append([recordOf(n)]);
    committed = performance.now();
    // A step of a run announces itself in this way.
    await database.pool.query(`select pg_notify('countersign_run', $1)`, [copies.run(1)]);
    await all;
  };
  // The first record also makes the process look up who may see the run, and is not counted.
  await write(0);
  told.length = 0;
  const before = statements.length;
  for (let n = 1; n <= records; n += 1) await write(n);
  const each = (statements.length - before) / records;
  end.abort();
  await Promise.all(lives);
  for (const { follower } of followers) follower.leave();
  await feed.close();
  return { ms: told, statements: Math.round(each * 100) / 100 };
}

function readerOf(n: number): Principal {
  return { id: `reader_${n}`, kind: 'human', roles: ['finance.controller'], permissions: [] };
}

function recordOf(n: number): Parameters<ReturnType<typeof makeServiceChain>['append']>[0][number] {
  return {
    key: `stream ${n}`,
    type: 'api.called',
    time: new Date().toISOString(),
    actor: { kind: 'agent', id: 'agent', roles: [] },
    about: copies.run(1),
    data: { n },
  };
}
