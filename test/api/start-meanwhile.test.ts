import assert from 'node:assert/strict';
import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, beforeEach, describe, it } from 'node:test';
import { startApi, type Answer, type Harness } from './harness.js';

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
  const start = (as: string): Promise<Answer> => api.ask(as, 'POST', `/v1/flows/${name}/runs`, {});

  /** Something is changed before each reading of the store that the start makes. */
  const whileItReads = async (change: (turn: number) => Promise<void>, as: string): Promise<Answer> => {
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
      return await start(as);
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

  it('of no certain place begins where its file has it, when that changes meanwhile', async () => {
    const moveTo = (environment: string) => api.load({ [path()]: text(1, environment) });
    await moveTo('dev');
    const started = await whileItReads((turn) => moveTo(turn % 2 === 0 ? 'dev' : 'staging'), 'agent');
    assert.equal(started.status, 201, started.text);
    rmSync(join(api.home, 'policies', path()));
  });
});

/** A pool that does something before it is asked. */
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
