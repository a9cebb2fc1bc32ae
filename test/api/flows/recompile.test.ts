import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, afterEach, before, beforeEach, describe, it } from 'node:test';
import { makePolicies, type Policies } from '../../../src/service/index.js';
import { withTransaction, type Tx } from '../../../src/db/index.js';
import { makeChecker, type Checker } from '../../../src/policy/index.js';
import { newId } from '../../../src/model/names/ids.js';
import { inCampaigns, inCampaignsUnless } from '../../../testing/samples.js';
import { codes, startApi, type Answer, type Harness } from '../harness.js';

// Published flows are compiled again where policies have changed: once, one after the other, and within a budget.

const by = { kind: 'human', id: 'admin' } as const;
const envs = 'environments: { dev: , live: }\n';

describe('what was published by the API, when it is compiled again', () => {
  let api: Harness;
  let author = '';
  /** Names of the flows in the order in which `policiesOf`'s policies have compiled them. */
  let compiled: string[] = [];
  let onCompiled: (name: string) => Promise<void> = () => Promise.resolve();
  before(async () => {
    api = await startApi();
    author = await keyOf('mina');
    writeFileSync(file('environments.yaml'), envs);
    tool(1);
    await loaded(another(), 'start');
    for (const name of ['one', 'two', 'three', 'four', 'five']) await publish(name);
  });
  beforeEach(() => {
    compiled = [];
  });
  afterEach(() => {
    onCompiled = () => Promise.resolve();
  });
  after(() => api.stop());

  const keyOf = async (id: string): Promise<string> => {
    const given = { id, kind: 'human', roles: [], permissions: ['flow.publish', 'flow.read'] };
    return (await api.ask('admin', 'POST', '/v1/keys', given)).body.key as string;
  };
  const file = (name: string): string => join(api.home, 'policies', name);
  const tool = (limit: number): void =>
    writeFileSync(
      file('tools/desk.yaml'),
      `tools: [{ name: desk.send, tier: reversible, executor: { kind: noop }, inputSchema: { type: object, properties: { x: { type: number, maximum: ${limit} } } } }]\n`,
    );
  /** Another process over the same store and folder. */
  const another = (checker = makeChecker()): Policies => {
    const { pool, chain, now } = api.deps;
    const transaction = <T>(fn: (tx: Tx) => Promise<T>): Promise<T> =>
      withTransaction(pool, async (tx) => {
        const query = tx.query.bind(tx) as (...given: unknown[]) => Promise<unknown>;
        const seeing = async (...given: unknown[]): Promise<unknown> => {
          const isResult = /^\s*insert into publication_compiled/.test(String(given[0]));
          const name = isResult ? String((given[1] as unknown[])[0]) : null;
          if (name !== null) await onCompiled(name);
          const result = await query(...given);
          if (name !== null) compiled.push(name);
          return result;
        };
        Object.assign(tx, { query: seeing });
        try {
          return await fn(tx);
        } finally {
          Object.assign(tx, { query });
        }
      });
    return makePolicies({ pool, transaction, chain, folder: join(api.home, 'policies'), now, checker });
  };
  const loaded = async (policies: Policies, how: 'reload' | 'start', confirm: readonly string[] = []) => {
    const result =
      how === 'start'
        ? await policies.start(by, newId('trc'))
        : await policies.reload(by, newId('trc'), confirm, () => Promise.resolve());
    assert.equal(result.status, 'loaded', JSON.stringify(result));
  };
  const text = (name: string, environment = 'dev'): string =>
    `workflows:\n  ${name}:\n    owner: team\n    environment: ${environment}\n    initialState: open\n    states:\n      open: { transitions: { send: { target: done, tool: desk.send } } }\n      done: { terminal: true }\n`;
  const send = (key: string, source: string): Promise<Answer> =>
    api.ask(key, 'POST', '/v1/flows', source, { 'content-type': 'application/yaml' });
  const publish = async (name: string, environment = 'dev'): Promise<void> => {
    const published = await send(author, text(name, environment));
    assert.equal(published.status, 201, published.text);
  };
  const all = ['five', 'four', 'one', 'three', 'two'];
  /** Results kept for the publications themselves, and for the versions that they became. */
  const once = (names: readonly string[]): string[] => names.flatMap((name) => [name, name]).sort();

  for (const how of ['reload', 'start'] as const)
    it(
      `is handed over one by one, and other requests are answered in between: ${how}`,
      inCampaignsUnless(how === 'reload'),
      async () => {
        tool(how === 'reload' ? 2 : 3);
        const answered: string[] = [];
        onCompiled = async (name) => {
          assert.equal((await api.ask('agent', 'GET', '/v1/whoami')).status, 200);
          answered.push(name);
        };
        await loaded(another(), how);
        assert.deepEqual(answered.slice(0, all.length), all, 'before any of them came into force');
        assert.deepEqual([...compiled].sort(), once(all));
      },
    );

  it('is not compiled under the same policies again, whichever process reloads or starts, nor what is published then', async () => {
    await loaded(another(), 'reload');
    await loaded(another(), 'start');
    await publish('six');
    await loaded(another(), 'reload');
    assert.deepEqual(compiled, []);
    // A change that does not affect what a flow compiles to.
    writeFileSync(file('notifications.yaml'), 'channels: {}\nroutes: []\n');
    await loaded(another(), 'reload');
    assert.deepEqual(compiled, []);
    tool(4);
    await loaded(another(), 'reload');
    assert.deepEqual([...compiled].sort(), once([...all, 'six']));
  });

  it('is compiled for no reload that is refused for want of a name', inCampaigns, async () => {
    tool(5);
    writeFileSync(file('environments.yaml'), 'environments: { dev: }\n');
    assert.equal(
      (await another().reload(by, newId('trc'), [], () => Promise.resolve())).status,
      'unconfirmed',
    );
    assert.deepEqual(compiled, []);
    writeFileSync(file('environments.yaml'), envs);
    await loaded(another(), 'reload');
  });

  it('is compiled where it may start, and nowhere else', async () => {
    await publish('elsewhere', 'live');
    await publish('withdrawn');
    const given = { reason: 'no longer wanted' };
    assert.equal((await api.ask(author, 'POST', '/v1/flows/withdrawn/withdraw', given)).status, 200);
    tool(6);
    writeFileSync(file('environments.yaml'), 'environments: { dev: }\n');
    await loaded(another(), 'reload', ['live']);
    assert.deepEqual([...compiled].sort(), once([...all, 'six']));
    compiled = [];
    writeFileSync(file('environments.yaml'), envs);
    await loaded(another(), 'reload');
    assert.ok(compiled.includes('elsewhere') && !compiled.includes('withdrawn'), compiled.join());
  });

  it('goes on where a start before has ended', inCampaigns, async () => {
    tool(7);
    onCompiled = (name) => (name === 'one' ? Promise.reject(new Error('killed')) : Promise.resolve());
    await assert.rejects(another().start(by, newId('trc')), /killed/);
    const before = [...compiled];
    assert.deepEqual(before, ['elsewhere', 'five', 'four']);
    onCompiled = () => Promise.resolve();
    compiled = [];
    await loaded(another(), 'start');
    assert.deepEqual(compiled.slice(0, 4), ['one', 'six', 'three', 'two']);
  });

  it('holds back no reload and no start where it cannot be compiled, and it says so', async () => {
    tool(8);
    const real = makeChecker();
    /** Compiles in a thread that ends whenever it compiles `two`. */
    const ending: Checker = {
      ...real,
      folder: (given, use) =>
        real.folder(given, (found, compile) =>
          use(found, (source, hasty) =>
            source.includes('  two:') ? Promise.resolve({ status: 'late' }) : compile(source, hasty),
          ),
        ),
    };
    assert.deepEqual(await another(ending).reload(by, newId('trc'), [], () => Promise.resolve()), {
      status: 'late',
      flow: 'two',
    });
    const started = await another(ending).start(by, newId('trc'));
    assert.ok(started.status === 'loaded');
    assert.deepEqual(
      started.withdrawn.map(({ name, environment }) => [name, environment]),
      [['two', 'dev']],
    );
    assert.match(started.withdrawn[0]?.reason ?? '', /^TOO_LARGE: .*publish it again/);
    assert.deepEqual(codes(await api.ask('agent', 'POST', '/v1/flows/two/runs', {})), [
      409,
      'FLOW_WITHDRAWN',
    ]);
  });

  it('is held to so many bytes for one principal, and a publication beyond them is not stored', async () => {
    const [hoarder, other] = [await keyOf('hoarder'), await keyOf('other')];
    const long = (name: string, bytes = 262_000): string => {
      const own = text(name);
      return `${own}${`# ${'x'.repeat(1_021)}\n`.repeat(Math.ceil(bytes / 1_024))}`.slice(0, bytes);
    };
    for (let n = 0; n < 16; n += 1) assert.equal((await send(hoarder, long(`h${n}`))).status, 201);
    const refused = await send(hoarder, long('h16'));
    assert.deepEqual(codes(refused), [413, 'TOO_LARGE'], refused.text);
    assert.match(
      refused.body.detail,
      /`hoarder` holds 16 .* of 4192000 bytes.* has 262000: at most 1000 .* 4194304/,
    );
    assert.deepEqual(codes(await api.ask('admin', 'GET', '/v1/flows/h16')), [404, 'NOT_FOUND']);
    assert.equal((await send(other, long('h16'))).status, 201, 'others publish');
    assert.equal((await send(hoarder, text('h0').replace('team', 'desk'))).status, 201, 'less in its place');
    assert.equal((await send(hoarder, long('h17'))).status, 201);
    assert.deepEqual(codes(await send(hoarder, long('h18'))), [413, 'TOO_LARGE']);
    const given = { reason: 'no longer wanted' };
    assert.equal((await api.ask(hoarder, 'POST', '/v1/flows/h1/withdraw', given)).status, 200);
    assert.equal((await send(hoarder, long('h18'))).status, 201);
  });

  it('is held to so many flows for one principal', async () => {
    const many = await keyOf('many');
    await api.database.pool.query(
      `with made as (
         insert into flow_version (name, version, hash, plan_hash, environment, definition, source, owner, description, warnings, published_by)
         select 'small_' || n, 1, hash, plan_hash, 'dev', definition, 'x', owner, description, warnings, 'many'
           from flow_version, generate_series(1, 1000) n where name = 'one' and version = 1
         returning name, environment)
       insert into flow_publication (name, environment) select name, environment from made`,
    );
    const refused = await send(many, text('one_more'));
    assert.deepEqual(codes(refused), [413, 'TOO_LARGE'], refused.text);
    assert.match(refused.body.detail, /`many` holds 1000 /);
  });
});
