import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { documentOf, type RunDocument } from '../../../src/store/runs/document.js';
import { makeDeps, type ActivityDeps } from '../../../src/activities/deps.js';
import type { Arrival, StepResult } from '../../../src/activities/types.js';
import {
  bell,
  controller,
  makeGoverned,
  makeHandle,
  operator,
  starter,
  type Governed,
  type Handle,
} from '../../fail-closed/support/governed.js';

// The run's document names values; they stand once, encrypted, as payloads, and are what their digests say.

const policies = {
  'roles.yaml': 'roles: { finance.controller: { permissions: [] } }\n',
  'flows/pay.yaml': `
workflows:
  pay:
    owner: team
    inputSchema: { type: object, properties: { who: { type: string }, note: { type: string, default: none given } } }
    initialState: a
    states:
      a:
        transitions:
          pay:
            target: a
            tier: reversible
            inputSchema: { type: object, properties: { amount: { type: number }, memo: { type: string }, currency: { type: string, default: EUR } } }
            executor: { kind: noop, output: {} }
            gate: { roles: [finance.controller] }
          look: { target: a, tier: read_only, inputSchema: { type: object }, executor: { kind: noop, output: {} } }
`,
};
const secret = 'a text that only its payload holds';

let governed: Governed;
before(async () => {
  governed = await makeGoverned(policies);
});
after(() => governed.stop());

async function documentIn(run: Handle): Promise<{ readonly text: string; readonly document: RunDocument }> {
  const row = await run.row();
  const document = documentOf(row);
  assert.ok(document !== null && row.doc !== null);
  return { text: row.doc, document };
}

async function payloads(run: Handle): Promise<number> {
  const { rows } = await governed.deps.pool.query<{ count: number }>(
    'select count(*) as count from payload where run = $1',
    [run.id],
  );
  return rows[0]?.count ?? NaN;
}

const args = { amount: 1, memo: secret, currency: 'EUR' };
const input = { who: secret, note: 'x' };

async function parked(given: object = args): Promise<Handle> {
  const run = await governed.start('pay', input);
  await run.submit(starter, 'pay', given as typeof args);
  return run;
}

describe('the stored document', () => {
  it('holds no argument and no input, open, executing or stuck; the store has neither in clear', async () => {
    const run = await parked();
    const silent = async (): Promise<void> => {
      const { text, document } = await documentIn(run);
      assert.ok(!text.includes(secret), text);
      assert.ok(!('input' in document) && !text.includes('"arguments"'));
      const { rows } = await governed.database.asSuperuser(
        `select count(*)::int as count from payload where position($1::bytea in ciphertext) > 0`,
        [Buffer.from(secret)],
      );
      assert.deepEqual(rows, [{ count: 0 }]);
      const { rows: steps } = await governed.database.asSuperuser(
        'select result from run_step where run = $1 union all select text from message where run = $1',
        [run.id],
      );
      assert.ok(!JSON.stringify(steps).includes(secret));
    };
    assert.deepEqual([run.state.input, run.state.approvals[0]?.action.arguments], [input, args]);
    await silent();
    await run.decide(controller, run.state.approvals[0]?.id ?? '', 'approve');
    assert.deepEqual(run.state.executing?.action.arguments, args);
    await silent();
    await run.take({ kind: 'abandoned', action: run.state.executing?.action.id ?? '' });
    await silent();
  });

  it('names each value where it came in: once, however many steps the run takes', async () => {
    const run = await parked();
    const { document } = await documentIn(run);
    const [approval] = document.approvals;
    assert.ok(approval?.action.held !== null && document.heldInput !== null);
    const before = await payloads(run);
    const held = [document.heldInput, approval?.action.held];
    for (let n = 0; n < 4; n += 1) await run.take({ kind: 'garbage', name: 'x', reason: 'unsigned' });
    const { document: later } = await documentIn(run);
    assert.deepEqual([later.heldInput, later.approvals[0]?.action.held], held);
    assert.equal(await payloads(run), before);
  });

  it('holds defaults that were added in one payload more, and an empty value in none', async () => {
    const run = await governed.start('pay', { who: secret });
    assert.deepEqual(run.state.input, { who: secret, note: 'none given' });
    const before = await payloads(run);
    await run.submit(starter, 'pay', { amount: 1 });
    assert.equal(await payloads(run), before + 3, 'as they came, as they were checked, as they are shown');
    const bare = await governed.start('pay');
    await bare.submit(starter, 'look', {});
    assert.equal((await documentIn(bare)).document.executing?.action.held, null);
    assert.deepEqual(bare.state.executing?.action.arguments, {});
  });
});

describe('a value that is not what the document says', () => {
  /** The same store, read by a process that remembers nothing. */
  const fresh = (run: Handle): Promise<unknown> => {
    const { pool, payloads: stored, serviceChain, onInternalError } = governed.deps;
    const own = makeDeps(pool, stored, serviceChain, onInternalError);
    const hands = makeHandle(own, governed.keys, run.id);
    return run
      .row()
      .then(({ rev, docDigest }) => hands.tryStep({ rev: rev + 1, builtOn: docDigest, arrivals: [garbage] }));
  };
  const garbage = { kind: 'garbage', name: 'x', reason: 'unsigned' } as const;
  const heldIn = async (run: Handle): Promise<{ args: string; input: string }> => {
    const { document } = await documentIn(run);
    const [approval] = document.approvals;
    return {
      args: approval?.action.held?.payload.payload ?? '',
      input: document.heldInput?.payload.payload ?? '',
    };
  };
  /** By who owns the tables, and may switch their triggers off. */
  const unguarded = (statement: string): Promise<unknown> =>
    governed.database.asSuperuser(
      `alter table payload disable trigger user; ${statement}; alter table payload enable trigger user`,
    );
  const swap = (to: string, from: string): Promise<unknown> =>
    unguarded(
      `update payload set ciphertext = (select ciphertext from payload where id = '${from}') where id = '${to}'`,
    );
  const erase = (...ids: string[]): Promise<unknown> =>
    unguarded(`delete from payload where id in (${ids.map((id) => `'${id}'`).join()})`);

  for (const which of ['args', 'input'] as const) {
    it(`is refused when its payload was changed: ${which}`, async () => {
      const run = await parked();
      const held = await heldIn(run);
      const { rev } = await run.row();
      await swap(held[which], held[which === 'args' ? 'input' : 'args']);
      await assert.rejects(fresh(run));
      assert.equal((await run.row()).rev, rev, 'nothing was decided on it');
    });

    it(`is refused when its payload is gone: ${which}`, async () => {
      const run = await parked();
      await erase((await heldIn(run))[which]);
      await assert.rejects(fresh(run), /was erased/);
    });
  }

  /** A cancel of a parked run and what comes beside it, taken by a process that remembers nothing and has these hands. */
  const cancelBeside = async (
    run: Handle,
    beside: readonly Arrival[],
    change: (own: ActivityDeps) => Partial<ActivityDeps> = () => ({}),
  ): Promise<StepResult> => {
    const { pool, payloads: stored, serviceChain, onInternalError } = governed.deps;
    const own = makeDeps(pool, stored, serviceChain, onInternalError);
    const cancel = bell(await run.ask(operator, { kind: 'cancel' }));
    const { rev, docDigest } = await run.row();
    const hands = makeHandle({ ...own, ...change(own) }, governed.keys, run.id);
    return hands.tryStep({ rev: rev + 1, builtOn: docDigest, arrivals: [cancel, ...beside] });
  };

  for (const kind of ['look', 'time'] as const)
    it(`is not decided without, by a cancel that has a ${kind} beside it: alone, the cancel is taken`, async () => {
      const run = await parked();
      await erase((await heldIn(run)).args);
      await assert.rejects(cancelBeside(run, [{ kind }]), /was erased/);
      assert.equal((await cancelBeside(run, [])).status, 'stepped');
      assert.equal((await run.row()).status, 'cancelled');
    });

  it('is waited for, also by a cancel, while the store is away: that is no value lost', async () => {
    const run = await parked();
    const noted = governed.internalErrors.length;
    const away = [Object.assign(new Error('away'), { code: 'ECONNREFUSED' })];
    let waits = 0;
    const result = await cancelBeside(run, [], (own) => ({
      readValue: async (q, held) => {
        const error = away.pop();
        if (error !== undefined) throw error;
        return own.readValue(q, held);
      },
      onStoreWait: () => void (waits += 1),
    }));
    assert.deepEqual([result.status, waits, governed.internalErrors.length], ['stepped', 1, noted]);
  });

  it('is refused when the document names another payload of the run, digest and all', async () => {
    const run = await parked();
    const { document } = await documentIn(run);
    const held = JSON.stringify(document.heldInput);
    await governed.database.asSuperuser(
      `update run set doc = jsonb_set(doc::jsonb, '{approvals,0,action,held}', $2::jsonb)::text where id = $1`,
      [run.id, held],
    );
    const forked = await run.take(bell(await run.ask(starter, { kind: 'cancel' })));
    assert.ok(forked.isForked);
    assert.equal(run.state.problem?.code, 'HISTORY_FORKED');
  });

  it('is no matter once the run has ended: nothing reads it any more', async () => {
    const run = await parked();
    const held = await heldIn(run);
    await run.take(bell(await run.ask(operator, { kind: 'cancel' })));
    await erase(held.args, held.input);
    const result = await fresh(run);
    assert.equal((result as { status: string }).status, 'stepped');
  });
});

describe('a run', () => {
  it('is said to hold the arguments of its open approvals, what they show, and what the document has of them', async () => {
    const run = await parked();
    const [approval] = (await documentIn(run)).document.approvals;
    const { documentBytes = 0, previewBytes = 0, action } = approval ?? assert.fail();
    const stored = Buffer.byteLength(JSON.stringify({ ...approval, action: { ...action, held: undefined } }));
    assert.ok(documentBytes > 500 && stored - documentBytes < 100, `${documentBytes} of ${stored}`);
    const { openBytes } = await run.row();
    assert.equal(openBytes, (action.held?.payload.bytes ?? 0) + previewBytes + documentBytes);
  });

  it('carries no more after a hundred settled approvals and two hundred answered messages than after twenty', async () => {
    const run = await governed.start('pay', input);
    const settle = async (n: number): Promise<number> => {
      await run.submit(starter, 'pay', { ...args, amount: n });
      const open = run.state.approvals.find(({ status }) => status === 'open');
      await run.decide(controller, open?.id ?? '', 'deny');
      await run.submit(starter, 'nowhere');
      return Buffer.byteLength((await documentIn(run)).text);
    };
    let early = 0;
    // The last twenty different requests that were denied stay.
    for (let n = 100; n < 120; n += 1) early = await settle(n);
    let late = 0;
    for (let n = 120; n < 200; n += 1) late = await settle(n);
    assert.deepEqual(run.state.approvals, []);
    assert.ok(late <= early + 20, `${early} bytes after 20 of them, ${late} after 100`);
    assert.deepEqual([(await run.row()).openBytes, (await run.row()).openApprovals], [0, 0]);
  });
});
