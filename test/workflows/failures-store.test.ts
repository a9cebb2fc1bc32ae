// Mostly waits: for a store that is away to be back.
import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import type { ActivityDeps } from '../../src/activities/deps.js';
import { execute } from '../../src/activities/execute/execute.js';
import { startMessageId } from '../../src/model/names/derived-ids.js';
import type { SignedMessage } from '../../src/model/message.js';
import { makePool } from '../../src/db/index.js';
import { getMessage } from '../../src/store/runs/messages.js';
import { step } from '../../src/activities/step/step.js';
import { aroundExecution } from '../fail-closed/support/governed.js';
import { until } from '../../testing/until.js';
import { agent, makeGround, operator, type Ground, type KeptRun } from './kept-run.js';

// The failure table of docs/reliability.md: the rows in which the hands of a run fail, on a real Postgres.

describe('on a real store', () => {
  let ground: Ground;
  before(async () => {
    ground = await makeGround();
    // What our own code writes and the store does not take stands here for a bug.
    await ground.database.asSuperuser(
      `alter table action add constraint poison check (transition <> 'poison')`,
    );
    await ground.database.asSuperuser(
      `create function refuse_unstartable() returns trigger language plpgsql as $$ begin
         if exists (select 1 from action where id = new.action and transition = 'unstartable') then
           raise exception 'no attempt of it can be written';
         end if;
         return new;
       end $$;
       create trigger unstartable before insert on execution_attempt for each row execute function refuse_unstartable()`,
    );
  });
  after(() => ground.stop());

  const settled = (run: KeptRun, what: string, is: (row: Awaited<ReturnType<KeptRun['row']>>) => boolean) =>
    until(what, async () => ((await run.row().then(is)) ? true : null), 30_000);
  const begun = async (deps?: ActivityDeps): Promise<KeptRun> => {
    const run = await ground.start(deps);
    await settled(run, 'its first step', ({ rev, status }) => rev > 0 || status !== 'running');
    return run;
  };
  const answered = (run: KeptRun, bell: { readonly id: string }) =>
    until(`an answer of ${bell.id}`, () => run.answerOf(bell), 30_000);

  it('a message over which a step fails makes its run stuck, is answered, and keeps no other from its answer', async () => {
    const run = await begun();
    const asked = [
      await run.ask(agent, { submit: 'ask' }),
      await run.ask(agent, { submit: 'poison' }),
      await run.ask(agent, { submit: 'ask' }, { more: true }),
    ];
    run.ring(...asked);
    const answers = await Promise.all(asked.map((bell) => answered(run, bell)));
    assert.deepEqual(
      answers.map((answer) => (answer.status === 'refused' ? answer.code : answer.status)),
      ['pending', 'RUN_STUCK', 'RUN_STUCK'],
    );
    assert.match(JSON.stringify(answers[1]), /failed three times in our own code: .*poison/);
    const row = await run.row();
    assert.deepEqual([row.status, row.problem?.code], ['stuck', 'STEP_FAILED']);
    assert.equal((await run.records()).filter((type) => type === 'run.stuck').length, 1);
    // An operator goes on with it.
    const retry = await run.ask(operator, { operate: 'retry' });
    run.ring(retry);
    assert.equal((await answered(run, retry)).status, 'accepted');
    assert.equal((await run.row()).status, 'waiting');
    await run.verify();
  });

  const broken: readonly (readonly [string, Partial<ActivityDeps>])[] = [
    ['its plan is gone', { plan: () => Promise.resolve(null) }],
    ['its plan cannot be read', { plan: () => Promise.reject(new Error('half a plan')) }],
    ['a value that it holds is gone', { readValue: () => Promise.reject(new Error('erased')) }],
    [
      'a key cannot be read',
      {
        publicKey: () => {
          throw new Error('half a key');
        },
      },
    ],
    ['who published its flow is unknown', { people: () => Promise.reject(new Error('nobody')) }],
  ];
  for (const [name, change] of broken)
    it(`a run is stuck, and says so, when ${name}; and goes on once that is mended`, async () => {
      let isBroken = false;
      const hand =
        <A extends unknown[], T>(good: (...given: A) => T, bad: (...given: A) => T) =>
        (...given: A): T =>
          isBroken ? bad(...given) : good(...given);
      const { deps } = ground;
      const run = await begun({
        ...deps,
        plan: hand(deps.plan, change.plan ?? deps.plan),
        readValue: hand(deps.readValue, change.readValue ?? deps.readValue),
        publicKey: hand(deps.publicKey, change.publicKey ?? deps.publicKey),
        people: hand(deps.people, change.people ?? deps.people),
      });
      const gated = await run.ask(agent, { submit: 'ask' }, { amount: 1 });
      run.ring(gated);
      await answered(run, gated);
      isBroken = true;
      const bell = await run.ask(agent, { submit: 'look' });
      run.ring(bell);
      const answer = await answered(run, bell);
      assert.equal(answer.status === 'refused' ? answer.code : '', 'RUN_STUCK');
      assert.equal((await run.row()).problem?.code, 'STEP_FAILED');
      isBroken = false;
      const retry = await run.ask(operator, { operate: 'retry' });
      run.ring(retry);
      assert.equal((await answered(run, retry)).status, 'accepted');
      const cancel = await run.ask(operator, { operate: 'cancel' });
      run.ring(cancel);
      assert.deepEqual((await run.kernel.ended).kind, 'closed');
      await run.verify();
    });

  it('a run whose first step can neither be taken nor given up has failed, and whoever asked it is told', async () => {
    const run = await ground.start({ ...ground.deps, people: () => Promise.reject(new Error('nobody')) });
    const ended = await run.kernel.ended;
    assert.ok(ended.kind === 'refused');
    assert.match(ended.reason, /first step failed three times in our own code: nobody/);
    const row = await run.row();
    assert.deepEqual([row.status, row.rev, row.problem?.code], ['failed', 0, 'STEP_FAILED']);
    const { answer = null } =
      (await getMessage(ground.deps.pool, startMessageId((await run.row()).id))) ?? {};
    assert.equal(answer?.status === 'refused' ? answer.code : (answer?.status ?? null), 'RUN_CLOSED');
    assert.ok((await run.records()).includes('message.refused'));
  });

  it('an effect that fails in our own code before its first attempt has failed, and the run goes on', async () => {
    const run = await begun();
    const bell = await run.ask(agent, { submit: 'unstartable' });
    run.ring(bell);
    const answer = await answered(run, bell);
    assert.equal(answer.status === 'refused' ? answer.code : answer.status, 'EXECUTOR_FAILED');
    assert.match(JSON.stringify(answer), /attempt 1 could not be begun: no attempt of it can be written/);
    assert.equal((await run.row()).executing, null);
    assert.deepEqual(
      (await run.records()).filter((type) => type.startsWith('executor.')),
      ['executor.failed'],
    );
    await run.verify();
  });

  it('an effect whose outcome our own code cannot write is unknown: the run is stuck, and a person decides', async () => {
    const { deps } = ground;
    const run = await begun({
      ...deps,
      payloads: {
        ...deps.payloads,
        put: (tx, of, role, media, text) =>
          role === 'output'
            ? Promise.reject(new Error('no room'))
            : deps.payloads.put(tx, of, role, media, text),
      },
    });
    const bell = await run.ask(agent, { submit: 'look' });
    run.ring(bell);
    await answered(run, bell);
    const row = await run.row();
    assert.deepEqual([row.status, row.problem?.code], ['stuck', 'EXECUTOR_UNKNOWN']);
    assert.ok((await run.records()).includes('executor.unknown'));
    const { rows } = await ground.database.pool.query(
      'select outcome from execution_attempt x join action a on a.id = x.action where a.run = $1',
      [run.id],
    );
    assert.deepEqual(rows, [{ outcome: 'unknown' }]);
    // Temporal may try it again all the same.
    const action = `act_${bell.id.slice('msg_'.length)}`;
    await assert.rejects(execute(deps, { run: run.id, action }, aroundExecution()), /does not execute/);
    await run.verify();
  });

  for (const [how, closes, status, record] of [
    ['the effect that closes its run', { submit: 'finish' }, 'completed', 'executor.succeeded'],
    ['a cancel', { operate: 'cancel' }, 'cancelled', 'run.cancelled'],
  ] as const)
    it(`a message that cannot be read is refused on record beside ${how}, and undoes nothing`, async () => {
      const { deps } = ground;
      const unreadable = new Set<string>();
      const run = await begun({
        ...deps,
        payloads: {
          ...deps.payloads,
          // A statement that fails, so that its transaction would too.
          get: (q, ref) =>
            unreadable.has(ref.payload)
              ? q.query('select 1 / 0').then(() => null)
              : deps.payloads.get(q, ref),
        },
      });
      const poison = await run.ask(agent, { submit: 'look' }, { amount: 1 });
      const other = await run.ask(agent, { submit: 'look' });
      const { text = '{}' } = (await getMessage(deps.pool, poison.id)) ?? {};
      for (const { payload } of (JSON.parse(text) as SignedMessage).refs) unreadable.add(payload);
      const bell = await run.ask('submit' in closes ? agent : operator, closes);
      run.ring(bell);
      const answer = await answered(run, bell);
      assert.equal(answer.status, 'submit' in closes ? 'executed' : 'accepted');
      assert.equal((await run.row()).status, status);
      const codeOf = async (asked: { readonly id: string }): Promise<unknown> => {
        const said = await run.answerOf(asked);
        return said?.status === 'refused' ? said.code : said;
      };
      assert.deepEqual([await codeOf(poison), await codeOf(other)], ['INTERNAL', 'RUN_CLOSED']);
      const records = await run.records();
      for (const type of [record, 'message.refused']) assert.ok(records.includes(type), records.join());
      await run.verify();
    });

  it('a message that cannot be read is refused on record where a look finds it, and its run goes on', async () => {
    const { deps } = ground;
    const unreadable = new Set<string>();
    const run = await begun({
      ...deps,
      payloads: {
        ...deps.payloads,
        get: (q, ref) =>
          unreadable.has(ref.payload) ? q.query('select 1 / 0').then(() => null) : deps.payloads.get(q, ref),
      },
    });
    const poison = await run.ask(agent, { submit: 'look' }, { amount: 1 });
    const other = await run.ask(agent, { submit: 'ask' });
    const { text = '{}' } = (await getMessage(deps.pool, poison.id)) ?? {};
    for (const { payload } of (JSON.parse(text) as SignedMessage).refs) unreadable.add(payload);
    run.kernel.onWake();
    const said = await answered(run, poison);
    assert.equal(said.status === 'refused' ? said.code : said.status, 'INTERNAL');
    assert.equal((await answered(run, other)).status, 'pending');
    assert.equal((await run.row()).status, 'waiting');
    assert.ok((await run.records()).includes('message.refused'));
    await run.verify();
  });

  it('a run whose start is refused has failed, and whoever asked it is told', async () => {
    const run = await ground.start({
      ...ground.deps,
      publicKey: () => null,
    });
    const ended = await run.kernel.ended;
    assert.equal(ended.kind, 'refused');
    const { status, rev, problem } = await run.row();
    assert.deepEqual([status, rev, problem?.code], ['failed', 0, 'START_REFUSED']);
    const answer = await run.answerOf({ id: startMessageId(run.id) });
    assert.equal(answer?.status === 'refused' ? answer.code : answer, 'RUN_CLOSED');
    assert.ok((await run.records()).includes('message.refused'));
  });

  it('a store that is away is no failure of a step: it says that it waits', async () => {
    const pool = makePool({ url: 'postgres://nobody@127.0.0.1:1/none', applicationName: 'away', max: 1 });
    const input = { run: 'run_1', rev: 2, builtOn: null, arrivals: [], gaveUp: null };
    let waits = 0;
    const deps = { ...ground.deps, pool, onStoreWait: () => void (waits += 1) };
    for (const gaveUp of [null, 'a bug'])
      assert.deepEqual(await step(deps, { ...input, gaveUp }), { status: 'waiting' });
    assert.equal(waits, 2, 'once for each, however often it asks');
    await pool.end();
  });
});
