import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { mostArgumentBytes, mostArgumentsBytes } from '../../../src/model/command-line.js';
import { mostCallBytes, mostValueBytes } from '../../../src/model/limits.js';
import { codes, countStored, startApi, type Answer, type Harness } from '../harness.js';

// A call that is larger than what may be sent is refused where it is asked for, whether or not somebody would be asked about it.

const text = { type: 'object', additionalProperties: false, properties: { text: { type: 'string' } } };
const times = (count: number, path: string): object => ({
  ...{ kind: 'rest', connection: 'nowhere', method: 'POST', path: '/say' },
  body: { texts: Array.from({ length: count }, () => path) },
});
const once = (path: string): object => times(1, path);
const thrice = (path: string): object => times(3, path);
const elseTry = (...executors: readonly object[]): object => ({
  reliability: { fallback: { strategy: 'first_success', executors } },
});
const command = (...args: readonly string[]): object => ({ kind: 'cli', connection: 'echo', args });
const pair = Array.from({ length: 9 }, () => '$.arguments.text');
const nothing = { kind: 'noop', output: {} };
const done = { terminal: true };
const asked = (executor: object, fields: object = {}): object => ({
  ...{ target: 'done', inputSchema: text, tier: 'reversible', executor },
  ...fields,
});
const runtime = (executor: object, fields: object = {}): object => ({
  transitions: { on: { target: 'done', actor: 'deterministic', tier: 'reversible', executor, ...fields } },
});
const flow = (states: object): object => ({
  ...{ owner: 'test', inputSchema: text, initialState: 'first', states: { ...states, done } },
});
const workflows = {
  asked: flow({
    first: {
      transitions: {
        say: asked(thrice('$.arguments.text')),
        both: asked(thrice('$.arguments.text'), elseTry(times(4, '$.arguments.text'))),
        instead: asked(thrice('$.arguments.text'), elseTry(nothing)),
        unless: asked(nothing, elseTry(thrice('$.arguments.text'))),
        twice: asked(once('$.arguments.text'), elseTry(once('$.arguments.text'), once('$.arguments.text'))),
        pass: asked(command('--', '$.arguments.text')),
        pair: asked(command('--', ...pair)),
        note: { target: 'noted', inputSchema: text, output: { note: '$.arguments.text' } },
      },
    },
    noted: runtime(times(6, '$.context.note')),
  }),
  behind: flow({
    first: {
      transitions: {
        say: asked(nothing, { target: 'noted', output: { note: '$.arguments.text' } }),
      },
    },
    noted: runtime(times(6, '$.context.note')),
  }),
  else: flow({
    first: {
      transitions: {
        say: asked(nothing, { target: 'noted', output: { note: '$.arguments.text' } }),
      },
    },
    noted: runtime(times(6, '$.context.note'), elseTry(once('$.context.note'))),
  }),
  entered: flow({
    first: {
      onEnter: { executor: thrice('$.workflow.input.text'), tier: 'reversible' },
      transitions: { go: { target: 'done' } },
    },
  }),
  chained: flow({ first: runtime(thrice('$.workflow.input.text')) }),
  first: flow({ first: { transitions: { say: asked(thrice('$.arguments.text')) } } }),
};
const connections = {
  nowhere: { kind: 'rest', baseUrl: 'http://127.0.0.1:9', allowPrivate: true },
  echo: { kind: 'cli', command: process.execPath, args: ['-e', '0'] },
};

describe('a call that is larger than what may be sent', () => {
  let api: Harness;
  before(async () => {
    api = await startApi();
    await api.load({ 'flows/calls.json': { version: 1, workflows }, 'connections.yaml': { connections } });
  });
  after(() => api.stop());
  const start = (name: string, body: object): Promise<Answer> =>
    api.ask('agent', 'POST', `/v1/flows/${name}/runs`, body);
  const large = (length: number): object => ({ text: 'x'.repeat(length) });
  const stored = (): Promise<unknown> => countStored(api);
  const isRefused = (answer: Answer, where: RegExp): void => {
    assert.deepEqual(codes(answer), [413, 'TOO_LARGE'], answer.text.slice(0, 300));
    assert.match(answer.body.detail, where);
  };
  const third = Math.floor(mostCallBytes / 3);
  const most = new RegExp(`the call would take more than ${mostCallBytes} bytes`);

  it('is refused of a submit that needs no approval, and nothing is stored; the run goes on', async () => {
    const { id } = (await start('asked', {})).body.run;
    const submit = (name: string, length: number): Promise<Answer> =>
      api.ask('agent', 'POST', `/v1/runs/${id}/transitions/${name}`, { arguments: large(length) });
    const before = await stored();
    for (const name of ['say', 'both']) isRefused(await submit(name, third), most);
    isRefused(await submit('say', third), /^`say` cannot be taken: the call would take/);
    isRefused(
      await submit('note', 400_000),
      /^`note` cannot be taken: it leads on to `on` in state `noted`, where the call would take/,
    );
    isRefused(
      await submit('pass', mostArgumentBytes + 1),
      /^`pass` cannot be taken: `\$\.arguments\.text` in argument 1 is 131072 bytes, and a system passes 131071 at most/,
    );
    isRefused(await submit('pair', 120_000), new RegExp(`and ${mostArgumentsBytes} are the most; send less`));
    assert.deepEqual(await stored(), before);
    assert.match((await submit('say', third - 30)).body.detail, /ECONNREFUSED/);
    // Only one of its calls is sent, each of which fits.
    assert.match((await submit('twice', mostValueBytes - 100)).body.detail, /ECONNREFUSED/);
    const { run } = (await submit('pass', mostArgumentBytes)).body;
    assert.deepEqual([run.status, run.state], ['completed', 'done']);
  });

  it('is not refused where another call of the same step can be sent', async () => {
    for (const name of ['instead', 'unless']) {
      const { id } = (await start('asked', {})).body.run;
      const submitted = await api.ask('agent', 'POST', `/v1/runs/${id}/transitions/${name}`, {
        arguments: large(third),
      });
      assert.deepEqual(
        [submitted.status, submitted.body.run.state],
        [200, 'done'],
        submitted.text.slice(0, 300),
      );
    }
  });

  it('behind an effect is not sent, and the stuck run says that only a cancel helps, and what a new run needs', async () => {
    const { id } = (await start('behind', {})).body.run;
    const { run } = (
      await api.ask('agent', 'POST', `/v1/runs/${id}/transitions/say`, { arguments: large(400_000) })
    ).body;
    assert.deepEqual([run.state, run.status, run.problem.code], ['noted', 'stuck', 'EXECUTOR_FAILED']);
    assert.match(run.problem.message, most);
    assert.match(run.problem.next, /as large: only a cancel helps; a new run needs less in what the call/);
  });

  it('behind an effect leaves it to a retry to try again, where another call of the same step can be sent', async () => {
    const { id } = (await start('else', {})).body.run;
    const { run } = (
      await api.ask('agent', 'POST', `/v1/runs/${id}/transitions/say`, { arguments: large(400_000) })
    ).body;
    assert.deepEqual([run.state, run.status, run.problem.code], ['noted', 'stuck', 'EXECUTOR_FAILED']);
    assert.match(run.problem.next, /^a retry tries it again/);
  });

  it('is refused of a start that comes to it, and nothing is stored', async () => {
    const before = await stored();
    const comes =
      /^a run of `(entered|chained)` with this input comes to `(onEnter:first|on)` in state `first`, where the call/;
    for (const name of ['entered', 'chained']) isRefused(await start(name, { input: large(third) }), comes);
    isRefused(
      await start('first', { submit: { transition: 'say', arguments: large(third) } }),
      /^`say` cannot be taken: the call would take .*; no run was started$/,
    );
    assert.deepEqual(await stored(), before);
    assert.equal((await start('chained', { input: large(third - 30) })).status, 201);
  });
});
