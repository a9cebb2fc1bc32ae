import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { codes, countStored, startApi, type Answer, type Harness } from '../harness.js';

// Where a run could not carry what a start or a submit leads to before anything is called, that is said at the door, with how
// much it is. What was taken, the run can take.

const text = { type: 'object', additionalProperties: false, properties: { text: { type: 'string' } } };
const end = { terminal: true };
const call = { executor: { kind: 'noop', output: { done: true } } };
const runtime = (target: string, fields: object = {}): object => ({
  transitions: { on: { target, actor: 'deterministic', ...fields } },
});
const flow = (states: object, fields: object = {}): object => ({
  ...{ owner: 'test', inputSchema: text, initialState: 'first', states },
  ...fields,
});
const expression = (rule: string): object => ({ kind: 'expr', expr: rule });
const keeps = { output: { kept: '$.workflow.input.text' } };
const differs = expression("$.workflow.input.text != 'y'");
/** Fifty steps to a state, the last of which writes. Some read the input, one of them more of it than what is decided in one piece. */
function chainTo(target: string, writes: object): Record<string, object> {
  const guards = (n: number): object[] => (n === 25 ? Array(5).fill(differs) : n % 10 === 0 ? [differs] : []);
  const step = (n: number): object =>
    n === 49 ? runtime(target, writes) : runtime(`step${n + 1}`, { guards: guards(n) });
  return Object.fromEntries(Array.from({ length: 50 }, (_, n) => [`step${n}`, step(n)]));
}
const workflows = {
  steps: flow({ first: runtime('second'), second: runtime('end', keeps), end }),
  entered: flow({
    first: { onEnter: { ...call, ...keeps }, transitions: { go: { target: 'end' } } },
    end,
  }),
  answered: flow({
    first: { onEnter: { ...call, output: { done: '$.output.done' } }, ...runtime('end', keeps) },
    end,
  }),
  far: flow({ first: runtime('step0'), ...chainTo('end', keeps), end }, { maxChainDepth: 60 }),
  late: flow(
    {
      first: {
        transitions: {
          note: {
            ...{ target: 'step0', inputSchema: text, guards: Array(5).fill(differs) },
            output: { note: '$.arguments.text' },
          },
        },
      },
      ...chainTo('first', { output: { copy: '$.context.note' } }),
    },
    { maxChainDepth: 60 },
  ),
  waits: flow({
    first: {
      transitions: {
        note: { target: 'copied', inputSchema: text, output: { note: '$.arguments.text' } },
        keep: { target: 'first', ...keeps },
        human: { target: 'end', actor: 'human', ...keeps },
      },
    },
    copied: runtime('first', { output: { copy: '$.context.note' } }),
    end,
  }),
};

// What is shown of its call is three times as large as its arguments.
const thrice = {
  ...{ name: 'say.thrice', tier: 'irreversible', inputSchema: text },
  executor: {
    ...{ kind: 'rest', connection: 'nowhere', method: 'POST', path: '/say' },
    body: { first: '$.arguments.text', second: '$.arguments.text', third: '$.arguments.text' },
  },
};
const connections = { nowhere: { kind: 'rest', baseUrl: 'http://127.0.0.1:9', allowPrivate: true } };
const wide = {
  ...{ name: 'wide', owner: 'test', permissions: { execute: ['say.thrice'] } },
  approval_gate: { approver_role: 'finance.controller' },
};

describe('what a run could not carry', () => {
  let api: Harness;
  before(async () => {
    api = await startApi();
    await api.load({
      'flows/full.json': { version: 1, workflows },
      'flows/wide.json': wide,
      'tools/wide.yaml': { tools: [thrice] },
      'connections.yaml': { connections },
    });
  });
  after(() => api.stop());
  const start = (name: string, body: object): Promise<Answer> =>
    api.ask('agent', 'POST', `/v1/flows/${name}/runs`, body);
  const large = (length: number): object => ({ text: 'x'.repeat(length) });
  const stored = (): Promise<unknown> => countStored(api);
  const isRefused = (answer: Answer, where: RegExp): void => {
    assert.deepEqual(codes(answer), [422, 'RUN_FULL'], answer.text.slice(0, 300));
    assert.match(answer.body.detail, where);
    assert.match(answer.body.detail, /[67]\d{5} bytes, and 524288 are the most/);
  };

  it('is refused at its start, and nothing is stored', async () => {
    const before = await stored();
    for (const [name, where] of [
      ['steps', /^a run of `steps` with this input comes to state `second`, where .*; no run was started$/],
      ['entered', /^a run of `entered` with this input comes to state `first`, where /],
    ] as const) {
      isRefused(await start(name, { input: large(700_000) }), where);
      isRefused(await start(name, { input: large(700_000), submit: { transition: 'go' } }), where);
    }
    assert.deepEqual(await stored(), before);
    for (const name of ['steps', 'entered'])
      assert.notEqual((await start(name, { input: large(500_000) })).body.run.status, 'stuck');
  });

  it('is refused at its start with a first submit, and nothing is stored; without that submit it starts', async () => {
    const before = await stored();
    const input = large(700_000);
    isRefused(
      await start('waits', { input, submit: { transition: 'keep' } }),
      /^`keep` cannot be asked for: .*; no run was started$/,
    );
    isRefused(
      await start('waits', { submit: { transition: 'note', arguments: large(300_000) } }),
      /^`note` cannot be taken: it leads on to state `copied`, where the context would take 600\d{3} bytes/,
    );
    assert.deepEqual(await stored(), before);
    assert.equal((await start('waits', { input })).body.run.status, 'running');
  });

  it('is started where something else stands against its first submit, which is told', async () => {
    const refused = await start('waits', { input: large(700_000), submit: { transition: 'human' } });
    assert.deepEqual(codes(refused), [403, 'ACTOR_MISMATCH']);
    const { body } = await api.ask('agent', 'GET', `/v1/runs/${refused.body.run}`);
    assert.deepEqual([body.run.status, body.run.version], ['running', 0]);
  });

  it('is refused at its start however long the chain is before it, and whatever that reads', async () => {
    const before = await stored();
    isRefused(
      await start('far', { input: large(700_000) }),
      /^a run of `far` with this input comes to state `step49`/,
    );
    assert.deepEqual(await stored(), before);
  });

  it('is stuck, and shown so, where an effect comes before it', async () => {
    const { status, body } = await start('answered', { input: large(700_000) });
    assert.deepEqual([status, body.run.status, body.run.problem?.code], [201, 'stuck', 'RUN_FULL']);
  });

  it('is refused of a submit, and nothing is stored; the run goes on with a smaller one', async () => {
    const { run } = (await start('waits', {})).body;
    const path = `/v1/runs/${run.id}/transitions/note`;
    const submit = (length: number): Promise<Answer> =>
      api.ask('agent', 'POST', path, { arguments: large(length) });
    const before = await stored();
    isRefused(await submit(300_000), /^`note` cannot be taken: it leads on to state `copied`, where /);
    assert.deepEqual(await stored(), before);
    const { body } = await api.ask('agent', 'GET', `/v1/runs/${run.id}`);
    assert.deepEqual(
      [body.run.status, body.run.state, body.run.version, body.context, body.evidence],
      ['running', 'first', 0, {}, []],
    );
    const far = (await start('late', { input: large(500_000) })).body.run.id;
    const note = (length: number): Promise<Answer> =>
      api.ask('agent', 'POST', `/v1/runs/${far}/transitions/note`, { arguments: large(length) });
    const started = await stored();
    isRefused(await note(300_000), /^`note` cannot be taken: it leads on to state `step49`, where /);
    assert.deepEqual(await stored(), started);
    assert.equal((await note(200_000)).status, 200);
    const smaller = await submit(200_000);
    assert.deepEqual([smaller.status, smaller.body.run.version], [200, 2], smaller.text.slice(0, 300));
  });

  it('is refused of a submit whose approval would show more than it has room for, and nothing is stored', async () => {
    const { id } = (await start('wide', {})).body.run;
    const say = (length: number): Promise<Answer> =>
      api.ask('agent', 'POST', `/v1/runs/${id}/transitions/say.thrice`, { arguments: large(length) });
    assert.equal((await say(500_000)).status, 202);
    // The largest that is taken, found by halving: each refusal stores nothing, one byte over the room too.
    let [taken, refused] = [500_001, 600_000];
    while (refused - taken > 1) {
      const length = Math.floor((taken + refused) / 2);
      const before = await stored();
      const said = await say(length);
      if (said.status === 202) {
        taken = length;
        const { rows } = await api.database.pool.query<{ id: string; digest: string }>(
          `select id, digest from approval where run = $1 and closed_at is null order by requested_at desc limit 1`,
          [id],
        );
        const [{ id: approval, digest } = assert.fail()] = rows;
        const denied = { decision: 'deny', digest };
        const answer = await api.ask('finance', 'POST', `/v1/approvals/${approval}/decision`, denied);
        assert.equal(answer.status, 200, answer.text);
      } else {
        refused = length;
        assert.deepEqual(codes(said), [422, 'RUN_FULL'], said.text.slice(0, 300));
        assert.match(said.body.detail, /would take more than 4194304 bytes, .*: have some decided first$/);
        assert.deepEqual(await stored(), before);
      }
    }
    assert.equal((await say(300_000)).status, 202);
  });

  it('is told with another Idempotency-Key to take, since the answer is kept under its own', async () => {
    const { id } = (await start('wide', {})).body.run;
    const say = (length: number, key: string): Promise<Answer> =>
      api.ask(
        'agent',
        'POST',
        `/v1/runs/${id}/transitions/say.thrice`,
        { arguments: large(length) },
        { 'idempotency-key': `${id}-${key}` },
      );
    const first = await say(600_000, 'first');
    assert.equal(first.status, 202);
    const full = await say(500_000, 'full');
    assert.deepEqual(codes(full), [422, 'RUN_FULL'], full.text.slice(0, 300));
    assert.match(
      full.body.detail,
      /: have some decided first; this answer is kept under its Idempotency-Key: to ask again, take another$/,
    );
    const { id: approval, digest } = first.body.result.approval;
    const denied = await api.ask('finance', 'POST', `/v1/approvals/${approval}/decision`, {
      decision: 'deny',
      digest,
    });
    assert.equal(denied.status, 200, denied.text);
    const again = await say(500_000, 'full');
    assert.deepEqual([...codes(again), again.body.detail], [422, 'RUN_FULL', full.body.detail]);
    assert.equal((await say(500_000, 'another')).status, 202);
  });

  it('is not told of a request that an open approval is there for: it joins that, however little room is left', async () => {
    const { id } = (await start('wide', {})).body.run;
    const say = (length: number): Promise<Answer> =>
      api.ask('agent', 'POST', `/v1/runs/${id}/transitions/say.thrice`, { arguments: large(length) });
    const first = await say(600_000);
    for (const others of [[], [420_000]]) {
      for (const length of others) assert.equal((await say(length)).status, 202);
      const again = await say(600_000);
      assert.deepEqual([first.status, again.status], [202, 202], again.text.slice(0, 300));
      assert.equal(again.body.result.approval.id, first.body.result.approval.id);
    }
    assert.deepEqual(codes(await say(420_001)), [422, 'RUN_FULL']);
  });

  it('is told after what stands against a submit in any case', async () => {
    const { id } = (await start('waits', {})).body.run;
    const note = (length: number): Promise<Answer> =>
      api.ask('agent', 'POST', `/v1/runs/${id}/transitions/note`, {
        arguments: large(length),
        expectedVersion: 0,
      });
    assert.equal((await note(100)).status, 200);
    assert.deepEqual(codes(await note(300_000)), [409, 'STALE_VERSION']);
  });
});
