import assert from 'node:assert/strict';
import { before, describe, it } from 'node:test';
import { action, audit, decide, getRun, startRun, submit } from '../../../testing/flows.js';
import { joinStack } from '../../../testing/servers/joint-stack.js';
import type { Stack } from '../../../testing/servers/stack.js';

// Nobody is asked to approve a call that can never be made: what it would be made of is bound by the approval.

const policies: Readonly<Record<string, string>> = {
  'roles.yaml': 'roles: { finance.controller: { permissions: [] } }\n',
  'connections.yaml': `
connections:
  files: { kind: rest, baseUrl: "http://127.0.0.1:9", allowPrivate: true }
  echo: { kind: cli, command: /bin/echo }
  board: { kind: mcp, url: "http://127.0.0.1:9/mcp", allowPrivate: true }
`,
  'tools/files.yaml': `
tools:
  - name: file.find
    tier: irreversible
    inputSchema: { type: object, additionalProperties: false, properties: { tag: {} } }
    executor: { kind: rest, connection: files, method: POST, path: /find, query: { tag: "$.arguments.tag" } }
  - name: file.remove
    tier: irreversible
    inputSchema: { type: object, additionalProperties: false, properties: { name: {} } }
    executor: { kind: rest, connection: files, method: DELETE, path: "/files/{$.arguments.name}" }
  - name: file.mark
    tier: irreversible
    inputSchema: { type: object, additionalProperties: false, properties: { mark: {} } }
    executor:
      { kind: rest, connection: files, method: POST, path: /mark, headers: { X-Mark: "$.arguments.mark" } }
  - name: note.say
    tier: irreversible
    inputSchema: { type: object, additionalProperties: false, properties: { text: {} } }
    executor: { kind: cli, connection: echo, args: ["$.arguments.text"] }
  - name: note.pair
    tier: irreversible
    inputSchema: { type: object, additionalProperties: false, properties: { text: {} } }
    executor:
      kind: cli
      connection: echo
      args: ["$.arguments.text", "$.arguments.text", "$.arguments.text", "$.arguments.text", "$.arguments.text", "$.arguments.text", "$.arguments.text", "$.arguments.text", "$.arguments.text"]
  - name: board.pin
    tier: irreversible
    inputSchema: { type: object, additionalProperties: false, properties: { text: {} } }
    executor: { kind: mcp, connection: board, tool: pin, map: { text: "$.arguments.text" } }
  - name: note.either
    tier: irreversible
    inputSchema: { type: object, additionalProperties: false, properties: { text: {} } }
    executor: { kind: cli, connection: echo, args: ["$.arguments.text"] }
    reliability:
      fallback:
        strategy: first_success
        executors: [{ kind: cli, connection: echo, args: ["--", "$.arguments.text"] }]
`,
  'flows/calls.json': JSON.stringify({
    name: 'calls',
    owner: 'team',
    permissions: {
      execute: ['file.find', 'file.remove', 'file.mark', 'note.say', 'note.pair', 'board.pin', 'note.either'],
    },
  }),
  'flows/chain.yaml': `
workflows:
  chain:
    owner: team
    inputSchema: { type: object, additionalProperties: false, properties: { id: {} } }
    initialState: given
    states:
      given:
        transitions:
          erase:
            target: gone
            actor: deterministic
            tier: irreversible
            gate: { roles: [finance.controller] }
            executor: { kind: rest, connection: files, method: DELETE, path: "/files/{$.workflow.input.id}" }
      gone: { terminal: true }
  late:
    owner: team
    initialState: given
    states:
      given:
        transitions:
          erase:
            target: gone
            tier: irreversible
            gate: { roles: [finance.controller] }
            executor: { kind: rest, connection: files, method: DELETE, path: "/files/{$.context.id}" }
      gone: { terminal: true }
`,
};

const joint = joinStack(() => ({ policies }));

describe('a call that can never be made', () => {
  let stack: Stack;
  before(async () => {
    stack = await joint();
  });

  const cases: readonly (readonly [string, object, RegExp])[] = [
    [
      'file.find',
      { tag: [] },
      /`\$\.arguments\.tag` in query parameter `tag` is an empty list; give it a text/,
    ],
    ['file.find', { tag: [1, 2] }, /is a list of 2; give it a text/],
    ['file.find', { tag: { a: 1 } }, /is an object; give it a text/],
    ['file.find', {}, /does not resolve: it got nothing; give it a value/],
    ['file.remove', { name: '..' }, /in the path would have the segment `\.` or `\.\.`/],
    ['file.remove', { name: '' }, /in the path has a value that is empty; give it one/],
    ['file.remove', { name: ['x'] }, /in the path does not resolve: it got a list of 1/],
    ['file.remove', { name: null }, /in the path does not resolve: it got null; give it a value/],
    [
      'file.mark',
      { mark: 'a\nb' },
      /has a value that a header cannot carry; leave out what is not printable/,
    ],
    ['note.say', { text: '-x' }, /argument 0 begins with `-` and would be read as an option/],
    ['board.pin', {}, /in `map` for tool `pin` does not resolve: it got nothing/],
  ];

  it('is refused when it is asked for, with what its template got and what to do, and is on record', async () => {
    const { run } = await startRun(stack, 'agent', 'calls', {});
    for (const [tool, args, why] of cases) {
      const { status, body } = await submit(stack, 'agent', run.id, tool, { arguments: args });
      const at = `${tool} ${JSON.stringify(args)}: ${JSON.stringify(body)}`;
      assert.equal(status, 422, at);
      assert.match(body.detail, why, at);
    }
    const { run: now, approvals } = await getRun(stack, 'agent', run.id);
    assert.deepEqual([now.status, now.version, approvals], ['running', 0, []]);
    const rejected = await audit(stack, run.id, 'transition.rejected');
    assert.equal(rejected.length, cases.length);
    assert.ok(rejected.every(({ data }) => data['code'] === 'INPUT_INVALID'));
    assert.equal((await audit(stack, run.id, 'human.approval.requested')).length, 0);
  });

  it('is refused before anything is stored where it is larger than what a system passes to a command', async () => {
    const { run } = await startRun(stack, 'agent', 'calls', {});
    for (const [tool, text, why] of [
      [
        'note.say',
        'x'.repeat(131_072),
        /`\$\.arguments\.text` in argument 0 is 131072 bytes, and a system passes 131071 at most in one; send less/,
      ],
      ['note.say', 'é'.repeat(65_536), /argument 0 is 131072 bytes/],
      ['note.either', 'x'.repeat(131_072), /argument \d is 131072 bytes/],
      [
        'note.pair',
        'x'.repeat(120_000),
        /the arguments of the command take 1080081 bytes together, and 1048576 are the most; send less/,
      ],
    ] as const) {
      const { status, body } = await submit(stack, 'agent', run.id, tool, { arguments: { text } });
      assert.deepEqual([status, body.code], [413, 'TOO_LARGE'], tool);
      assert.match(body.detail, why, tool);
    }
    assert.deepEqual(await audit(stack, run.id, 'transition.rejected'), []);
  });

  it('is asked for where another call of it can be made, and the card says why the first cannot', async () => {
    const { run } = await startRun(stack, 'agent', 'calls', {});
    const { status, body } = await submit(stack, 'agent', run.id, 'note.either', {
      arguments: { text: '-x' },
    });
    assert.equal(status, 202, JSON.stringify(body));
    const card = await stack.fetchAs('finance', 'GET', `/v1/approvals/${body.result.approval.id}`);
    const { preview } = card.body as { preview: Record<string, any> };
    assert.equal(preview['unresolved'], '$.arguments.text');
    assert.match(preview['message'], /begins with `-`/);
    assert.deepEqual(preview['fallbacks'][0].args, ['--', '-x']);
  });

  it('is refused for what it reads of its run too, and stops a run that came to it by itself', async () => {
    const { run } = await startRun(stack, 'agent', 'late', {});
    const { status, body } = await submit(stack, 'agent', run.id, 'erase');
    assert.deepEqual([status, body.code], [422, 'INPUT_INVALID'], JSON.stringify(body));
    assert.match(body.detail, /`\$\.context\.id` in the path does not resolve: it got nothing/);
    const { run: stopped } = await startRun(stack, 'agent', 'chain', { id: '..' });
    assert.deepEqual([stopped.status, stopped.problem?.code], ['stuck', 'INPUT_INVALID']);
    const now = await getRun(stack, 'agent', stopped.id);
    const onlyCancel = /^a retry would come to the same: only a cancel helps$/;
    assert.match(String((now.run.problem as { next?: string }).next), onlyCancel);
    const later = await submit(stack, 'agent', stopped.id, 'erase');
    assert.equal(later.body.code, 'RUN_STUCK');
    assert.match(later.body.detail, /in the path .*: only a cancel helps$/);
    const { run: waits, approvals } = await startRun(stack, 'agent', 'chain', { id: 'a' });
    assert.deepEqual([waits.status, approvals.length], ['waiting', 1]);
  });

  it('is not the longest one that a system passes: that is asked for, approved and done', async () => {
    const { run } = await startRun(stack, 'agent', 'calls', {});
    const { status, body } = await submit(stack, 'agent', run.id, 'note.say', {
      arguments: { text: 'x'.repeat(131_071) },
    });
    assert.equal(status, 202, JSON.stringify(body));
    const { approval, poll } = body.result;
    const decided = await decide(stack, 'finance', approval.id, 'approve');
    assert.equal(decided.status, 200, JSON.stringify(decided.body));
    await action(stack, 'agent', poll, 'executed');
  });
});
