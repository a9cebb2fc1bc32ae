import assert from 'node:assert/strict';
import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, beforeEach, describe, it } from 'node:test';
import pg from 'pg';
import { until } from '../../../testing/until.js';
import { codes, startApi, type Answer, type Harness } from '../harness.js';

describe('a start, while others change its flow', () => {
  let api: Harness;
  let names = 0;
  let name = '';
  let onChosen: () => void = () => undefined;
  let beforeReading: () => Promise<void> = () => Promise.resolve();
  before(async () => {
    api = await startApi((deps) => ({
      ...deps,
      pool: watched(deps.pool, () => beforeReading()),
      engines: {
        ...deps.engines,
        isReady: () => {
          onChosen();
          return Promise.resolve(true);
        },
      },
    }));
  });
  after(() => api.stop());
  beforeEach(() => {
    names += 1;
    name = `changing_${names}`;
  });

  const text = (above: number, environment = 'dev'): object => ({
    name,
    owner: 'team',
    environment,
    permissions: { read: ['bank.balance'], execute: ['bank.pay'], deny: [] },
    approval_gate: { on: `amount > ${above}`, approver_role: 'finance.controller' },
  });
  const publish = async (above: number): Promise<void> => {
    const published = await api.ask('admin', 'POST', '/v1/flows', text(above));
    assert.equal(published.status, 201, published.text);
  };
  const path = (): string => join('flows', `${name}.json`);
  const start = (as = 'agent', body: object = {}): Promise<Answer> =>
    api.ask(as, 'POST', `/v1/flows/${name}/runs`, body);

  /** Runs a change before each of the start's readings of the store. */
  const whileItReads = async (
    change: (turn: number) => Promise<void>,
    as: string,
    body: object = {},
  ): Promise<Answer> => {
    let turn = 0;
    let isChanging = false;
    beforeReading = async () => {
      if (isChanging) return;
      isChanging = true;
      turn += 1;
      await change(turn);
      isChanging = false;
    };
    try {
      return await start(as, body);
    } finally {
      beforeReading = () => Promise.resolve();
      assert.ok(turn > 2);
    }
  };

  for (const as of ['agent', 'admin'])
    it(`of no certain version by \`${as}\` is never of one that was superseded as it was chosen`, async () => {
      await publish(1);
      let newest = 1;
      let chosenOf = 0;
      onChosen = () => {
        chosenOf = newest;
      };
      const started = await whileItReads(async (turn) => {
        await publish(turn + 1);
        newest = turn + 1;
      }, as);
      assert.equal(started.status, 201, started.text);
      assert.equal(started.body.run.flowVersion, chosenOf);
    });

  it('is told no false reason where its flow is published for the first time, or its version, as it is looked for', async () => {
    for (let at = 1; at < 12; at += 1)
      for (const [body, before] of [
        [{}, 0],
        [{ version: 1 }, 0],
        [{ version: 2 }, 1],
      ] as const) {
        name = `changing_${(names += 1)}`;
        if (before === 1) await publish(1);
        let turns = 0;
        const started = await whileItReads(
          async (turn) => {
            turns = turn;
            if (turn === at) await publish(before + 1);
          },
          'agent',
          body,
        );
        assert.ok(turns > 2);
        const told = started.status === 201 ? 201 : started.body.code;
        assert.ok([201, 'NOT_FOUND'].includes(told), `${at} ${JSON.stringify(body)}: ${started.text}`);
      }
  });

  it('of no certain place begins where its file has it, when that changes meanwhile', async () => {
    const moveTo = (environment: string) => api.load({ [path()]: text(1, environment) });
    await moveTo('dev');
    const started = await whileItReads(async (turn) => {
      if (turn < 10) await moveTo(turn % 2 === 0 ? 'dev' : 'staging');
    }, 'agent');
    assert.equal(started.status, 201, started.text);
    rmSync(join(api.home, 'policies', path()));
  });

  /** The answer to a start that waited, with all who sign, for a change of the signing keys. */
  const startBehindKeys = async (body: object, meanwhile: () => Promise<void>): Promise<Answer> => {
    const holder = new pg.Client({ connectionString: api.database.url });
    await holder.connect();
    try {
      await holder.query('select pg_advisory_lock(7202611292)');
      const started = start('agent', body);
      await until('the start waits', async () => {
        const { rows } = await holder.query(
          `select 1 from pg_locks l join pg_database d on d.oid = l.database
            where not l.granted and l.locktype = 'advisory' and d.datname = current_database()`,
        );
        return rows.length > 0;
      });
      await meanwhile();
      await holder.query('select pg_advisory_unlock(7202611292)');
      return await started;
    } finally {
      await holder.end();
    }
  };
  const isNone = async (): Promise<void> => {
    const { rows } = await api.database.asSuperuser('select 1 from run where flow = $1', [name]);
    assert.equal(rows.length, 0);
  };

  for (const [what, body] of [
    ['', {}],
    [', with its first submit', { submit: { transition: 'bank.balance' } }],
  ] as const) {
    it(`that waits to be signed is none of a flow whose withdrawal was answered meanwhile${what}`, async () => {
      await publish(1);
      const started = await startBehindKeys(body, async () => {
        const asked = { reason: 'the bank has closed' };
        assert.equal((await api.ask('admin', 'POST', `/v1/flows/${name}/withdraw`, asked)).status, 200);
      });
      assert.deepEqual(codes(started), [409, 'FLOW_WITHDRAWN'], started.text);
      assert.match(started.body.detail, /was withdrawn at/);
      await isNone();
    });

    it(`that waits to be signed is none where nothing holds its flow any more${what}`, async () => {
      await api.load({ [path()]: text(1, 'dev') });
      const started = await startBehindKeys({ ...body, environment: 'dev' }, () =>
        api.load({ [path()]: text(1, 'staging') }),
      );
      assert.deepEqual(codes(started), [409, 'FLOW_WITHDRAWN'], started.text);
      assert.match(started.body.detail, /no file and no publication holds/);
      await isNone();
      rmSync(join(api.home, 'policies', path()));
    });

    it(`that waits to be signed begins with the version that it chose, where a newer one comes meanwhile${what}`, async () => {
      await publish(1);
      const started = await startBehindKeys(body, () => publish(2));
      assert.equal(started.status, 'submit' in body ? 200 : 201, started.text);
      assert.equal(started.body.run?.flowVersion ?? 1, 1);
    });
  }
});

/** A pool that runs something before each statement. */
function watched<T extends object>(pool: T, first: () => Promise<void>): T {
  return new Proxy(pool, {
    get: (target, key) => {
      const own: unknown = Reflect.get(target, key);
      if (typeof own !== 'function') return own;
      if (key !== 'query' && key !== 'connect') return own.bind(target) as unknown;
      return async (...given: unknown[]): Promise<unknown> => {
        await first();
        return own.apply(target, given) as unknown;
      };
    },
  });
}
