import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { lockNamed, readArrivals } from '../../../src/activities/step/arrivals.js';
import { jsonValue } from '../../../src/client/replay/attest.js';
import { withTransaction } from '../../../src/db/index.js';
import { newId } from '../../../src/model/names/ids.js';
import { mostUnanswered } from '../../../src/model/limits.js';
import type { SealedMessage } from '../../../src/model/message.js';
import { getMessage, withdrawMessage } from '../../../src/store/runs/messages.js';
import {
  bell,
  countRecords,
  makeGoverned,
  operator,
  refusals,
  starter,
  type Governed,
  type Handle,
} from '../../fail-closed/support/governed.js';
import { runPolicies } from '../../fail-closed/support/run-policies.js';

// From a bell to what is decided: a message of the store counts once, and no bell spoils the message that it names.

let governed: Governed;
before(async () => {
  governed = await makeGoverned(runPolicies('http://127.0.0.1:1'));
});
after(() => governed.stop());

/** A submit that is refused by its run: taken, on record, and nothing runs. */
const ask = (run: Handle): Promise<SealedMessage> =>
  run.ask(starter, { kind: 'submit', transition: 'nowhere', expectedVersion: null }, [jsonValue('args', {})]);
const taken = (run: Handle): Promise<number> => countRecords(run, 'transition.rejected');
const revOf = async ({ id }: SealedMessage): Promise<number | null> =>
  (await getMessage(governed.deps.pool, id))?.rev ?? null;

describe('a bell', () => {
  it('with anything wrong of it is refused, and does not spoil the message that it names', async () => {
    const run = await governed.start('calls');
    const sent = await ask(run);
    const { bell: good } = bell(sent);
    const other = await ask(await governed.start('calls'));
    const forged = [
      { ...good, kind: 'cancel' as const },
      { ...good, digest: other.digest },
      { ...good, keyId: 'sha256:other' },
      { ...good, signature: other.signature },
      { ...good, digest: '', keyId: '', signature: '' },
    ];
    for (const each of forged) {
      await run.take({ kind: 'message', bell: each });
      assert.equal(await revOf(sent), null);
      assert.equal(await run.answerTo(sent), null);
    }
    assert.deepEqual(
      await refusals(run),
      Array.from(forged, () => 'bad_signature'),
    );
    await run.take(bell(sent));
    assert.equal((await run.answerTo(sent))?.status, 'refused');
    assert.equal(await taken(run), 1);
    assert.equal((await refusals(run)).length, forged.length, 'none of them made its own bell a replay');
  });

  it('that is forged beside the real one, in one step, is refused alone', async () => {
    const run = await governed.start('calls');
    const sent = await ask(run);
    const { bell: good } = bell(sent);
    const forged = { kind: 'message', bell: { ...good, signature: 'AAAA' } } as const;
    await run.take(forged, bell(sent), forged);
    assert.deepEqual(await refusals(run), ['bad_signature', 'bad_signature']);
    assert.equal(await taken(run), 1);
    assert.equal(await revOf(sent), run.rev);
  });

  it('of another run, of nobody, and of no signature each say why, and nothing else happens', async () => {
    const run = await governed.start('calls');
    const other = await governed.start('calls');
    const foreign = await ask(other);
    const { bell: good } = bell(foreign);
    const before = run.state;
    await run.take(
      bell(foreign),
      { kind: 'message', bell: { ...good, id: newId('msg') } },
      { kind: 'message', bell: { ...good, id: 'nul \0' } },
      { kind: 'garbage', name: 'submit', reason: 'unsigned' },
      { kind: 'garbage', name: 'decide', reason: 'undecodable' },
    );
    assert.deepEqual(await refusals(run), [
      'wrong_run',
      'unknown_message',
      'unknown_message',
      'unsigned',
      'undecodable',
    ]);
    assert.deepEqual(run.state, before);
    await other.take(bell(foreign));
    assert.equal((await other.answerTo(foreign))?.status, 'refused');
    assert.deepEqual(await refusals(other), []);
  });
});

describe('a run whose past the store has lost', () => {
  it('is stuck when it had begun by what its workflow says, and a retry begins it with its input', async () => {
    const start = await governed.recordStart('needs', { amount: 7 });
    const run = governed.handle(start.run);
    const lost = { rev: 7, builtOn: `sha256:${'0'.repeat(64)}` };
    const forked = await run.tryStep({ ...lost, arrivals: [{ kind: 'look' }] });
    assert.ok(forked.status === 'stepped' && forked.isForked, JSON.stringify(forked));
    assert.deepEqual([forked.rev, forked.left], [1, [0]]);
    const { status, problem } = await run.row();
    assert.deepEqual([status, problem?.code], ['stuck', 'HISTORY_FORKED']);
    const answer = await run.answerTo(start);
    assert.equal(answer?.status === 'refused' && answer.code, 'RUN_STUCK');
    const retry = await run.ask(operator, { kind: 'retry' });
    await run.tryStep({ rev: 2, builtOn: forked.digest, arrivals: [bell(retry)] });
    assert.equal((await run.row()).status, 'running', 'its required input is there');
    assert.equal(await countRecords(run, 'run.started'), 1);
  });

  it('is not ended by a workflow of its name whose start is none of its own', async () => {
    const start = await governed.recordStart('calls');
    const run = governed.handle(start.run);
    const { bell: own } = bell(start);
    for (const forged of [{ ...own, signature: 'AAAA' }, bell(await ask(run)).bell])
      assert.equal((await run.tryTo({ kind: 'message', bell: forged })).status, 'refused');
    assert.equal((await run.row()).status, 'running');
    await run.take(bell(start));
    assert.equal((await run.answerTo(start))?.status, 'accepted');
  });

  it('says so to whoever asks it once it is closed, opens nothing, and comes to rest', async () => {
    const run = await governed.start('calls');
    await run.take(bell(await run.ask(operator, { kind: 'cancel' })));
    await governed.database.asSuperuser(`update run set doc = '{"half":' where id = $1`, [run.id]);
    const sent = await ask(run);
    const result = await run.tryTo(bell(sent));
    assert.ok(result.status === 'stepped', JSON.stringify(result));
    assert.deepEqual([result.runStatus, result.left, result.given], ['cancelled', [], 1]);
    const answer = await run.answerTo(sent);
    assert.equal(answer?.status === 'refused' && answer.code, 'RUN_CLOSED');
    assert.equal(await revOf(sent), run.rev);
  });
});

describe('a message', () => {
  it('that is rung for twice in one step is taken once, and is no replay', async () => {
    const run = await governed.start('calls');
    const sent = await ask(run);
    await run.take(bell(sent), bell(sent));
    assert.equal(await taken(run), 1);
    assert.deepEqual(await refusals(run), []);
  });

  it('that comes again is never taken again, however many others came between, and that is recorded once', async () => {
    const run = await governed.start('calls');
    const first = await ask(run);
    await run.take(bell(first));
    const answer = await run.answerTo(first);
    for (let times = 0; times < 12; times += 1) {
      const more: SealedMessage[] = [];
      for (let n = 0; n < 45; n += 1) more.push(await ask(run));
      await run.take(...more.map(bell));
    }
    for (let times = 0; times < 3; times += 1) await run.take(bell(first));
    assert.equal(await taken(run), 541);
    assert.deepEqual(await refusals(run), ['replayed']);
    assert.deepEqual(await run.answerTo(first), answer);
  });

  it('holds up nobody, beside as many others as come in one step: others go on between two of them', async () => {
    let turns = 0;
    const seen: number[] = [];
    const publicKey: typeof governed.deps.publicKey = (message) => {
      seen.push(turns);
      setImmediate(() => (turns += 1));
      // As long as a piece of work may take.
      for (const since = performance.now(); performance.now() - since < 12;);
      return governed.deps.publicKey(message);
    };
    const run = await governed.start('calls', {}, { ...governed.deps, publicKey });
    const sent: SealedMessage[] = [];
    for (let n = 0; n < 5; n += 1) sent.push(await ask(run));
    seen.length = 0;
    await run.take(...sent.map(bell));
    assert.equal(await taken(run), 5);
    assert.equal(new Set(seen).size, 5);
  });

  it('that cannot be read fails its step when all that came beside it has been asked for, and not before', async () => {
    const broken = new Error('its values cannot be read');
    let answer = (): void => assert.fail('it was not asked for');
    const slow = new Promise<null>((resolve) => (answer = () => resolve(null)));
    const answers = [() => slow, () => Promise.reject(broken)];
    const get: typeof governed.deps.payloads.get = () => answers.shift()?.() ?? Promise.resolve(null);
    const run = await governed.start('calls');
    const sent = [await ask(run), await ask(run)];
    const row = await run.row();
    const deps = { ...governed.deps, payloads: { ...governed.deps.payloads, get } };
    await withTransaction(deps.pool, async (tx) => {
      const arrivals = sent.map(bell);
      const named = await lockNamed(tx, run.id, arrivals);
      const ended: string[] = [];
      const reading = readArrivals(deps, tx, row, arrivals, { named, time: new Date().toISOString() }).then(
        () => assert.fail('it was read'),
        (error: unknown) => {
          ended.push('step');
          assert.equal(error, broken);
        },
      );
      while (answers.length > 0) await nextTurn();
      void slow.then(() => ended.push('other'));
      await nextTurn();
      assert.deepEqual(ended, []);
      answer();
      await reading;
      assert.deepEqual(ended, ['other', 'step']);
    });
  });

  it('that the outbox rang for again is no replay', async () => {
    const run = await governed.start('calls');
    const sent = await ask(run);
    await governed.deps.pool.query('update message set attempts = 2 where id = $1', [sent.id]);
    for (let times = 0; times < 3; times += 1) await run.take(bell(sent));
    assert.deepEqual(await refusals(run), []);
    await run.take(bell(sent));
    assert.deepEqual(await refusals(run), ['replayed']);
  });

  it('that a look at the store found before its bell came is no replay', async () => {
    const run = await governed.start('calls');
    const sent = await ask(run);
    await run.take({ kind: 'look' });
    assert.equal((await run.answerTo(sent))?.status, 'refused');
    await run.take(bell(sent));
    assert.deepEqual(await refusals(run), []);
    assert.equal(await taken(run), 1);
  });

  it('is found by one look at the store, beside as many others as a run can have waiting', async () => {
    const start = await governed.recordStart('calls');
    const run = governed.handle(start.run);
    const sent: SealedMessage[] = [];
    for (let n = 0; n < mostUnanswered; n += 1)
      sent.push(await ask(run), await run.ask(operator, { kind: 'retry' }));
    await run.take(bell(start), { kind: 'look' });
    for (const each of sent) assert.equal(await revOf(each), 1);
  });

  it('that was withdrawn is never taken: not by its bell, not by a look, not when the run ends', async () => {
    const run = await governed.start('calls');
    const sent = await ask(run);
    assert.ok(await withdrawMessage(governed.deps.pool, sent.id));
    await run.take(bell(sent));
    await run.take({ kind: 'look' });
    await run.take(bell(await run.ask(operator, { kind: 'cancel' })));
    assert.equal(run.state.status, 'cancelled');
    assert.deepEqual([await revOf(sent), await run.answerTo(sent), await taken(run)], [null, null, 0]);
    assert.deepEqual(await refusals(run), []);
  });

  it('that no bell came for is answered when its run ends', async () => {
    const run = await governed.start('calls');
    const waiting = [await ask(run), await ask(run)];
    await run.take(bell(await run.ask(operator, { kind: 'cancel' })));
    for (const sent of waiting) {
      const answer = await run.answerTo(sent);
      assert.equal(answer?.status === 'refused' && answer.code, 'RUN_CLOSED');
      assert.equal(await revOf(sent), run.rev);
    }
  });

  it('is taken, answered and recorded in one transaction: where the record cannot be written, it is not taken', async () => {
    const run = await governed.start('calls');
    const sent = await ask(run);
    await governed.database.asSuperuser('revoke insert on audit_record from countersign_app');
    try {
      await assert.rejects(run.tryTo(bell(sent)), /permission denied/);
      assert.deepEqual([await revOf(sent), await run.answerTo(sent)], [null, null]);
      assert.ok(await withdrawMessage(governed.deps.pool, sent.id), 'so that it can still be withdrawn');
    } finally {
      await governed.database.asSuperuser('grant insert on audit_record to countersign_app');
    }
  });
});
