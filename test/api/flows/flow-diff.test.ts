import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { diffPlans, type Diff } from '../../../src/service/flows/diff/diff.js';
import { graphOf } from '../../../src/service/flows/graph.js';
import type { PermissionChange } from '../../../src/service/flows/diff/weigh.js';
import {
  defaultReliability,
  type Executor,
  type Gate,
  type Guard,
  type OnEnter,
  type Plan,
} from '../../../src/engine/plan.js';
import { gate, plan, state, transition, type Fields } from '../../engine/build.js';

// What a version newly permits is said as a sentence, and weighed.

const base: Fields = { tier: 'reversible', gate: gate(), executor: { kind: 'noop', output: null } };
const withPay = (fields: Fields, of: Partial<Plan> = {}): Plan =>
  plan(
    [
      state('open', [transition('pay', 'done', { ...base, ...fields })]),
      state('done', [], { terminal: true }),
    ],
    of,
  );
const told = async (before: Plan, after: Plan): Promise<readonly PermissionChange[]> =>
  (await diffPlans(before, after)).permissions;
const onlyChange = async (before: Plan, after: Plan): Promise<PermissionChange> => {
  const all = await told(before, after);
  assert.equal(all.length, 1, JSON.stringify(all));
  return all[0] as PermissionChange;
};
const rest = (path: string): Executor => ({
  ...{ kind: 'rest', connection: 'bank', method: 'POST', query: [], headers: [], body: null },
  path: { kind: 'text', parts: [path] },
  idempotencyKey: true,
});

describe('what another version permits', () => {
  const timeouts: Readonly<Record<string, [Gate['timeout'], RegExp]>> = {
    'time approves': [{ afterMs: 1_000, action: 'approve', to: [] }, /after 1 s approved by time, by nobody/],
    'time opens it to others': [
      { afterMs: 3_600_000, action: 'escalate', to: ['intern'] },
      /after 1 h open to `intern` too/,
    ],
    'time approves in a later stage': [
      {
        ...{ afterMs: 3_600_000, action: 'escalate', to: ['finance.controller'] },
        then: { afterMs: 86_400_000, action: 'approve', to: [] },
      },
      /then after 1 d approved by time/,
    ],
  };
  for (const [what, [timeout, sentence]] of Object.entries(timeouts))
    it(`is wider where ${what}, and narrower the other way round`, async () => {
      const [before, after] = [withPay({}), withPay({ gate: gate({ timeout }) })];
      const change = await onlyChange(before, after);
      assert.equal(change.effect, 'wider');
      assert.match(change.sentence, sentence);
      assert.equal((await onlyChange(after, before)).effect, 'narrower');
    });

  it('is wider where time approves sooner than it did', async () => {
    const after = (afterMs: number) =>
      withPay({ gate: gate({ timeout: { afterMs, action: 'approve', to: [] } }) });
    assert.equal((await onlyChange(after(86_400_000), after(1_000))).effect, 'wider');
    assert.equal((await onlyChange(after(1_000), after(86_400_000))).effect, 'narrower');
  });

  it('is no change where a gate has only been moved or explained otherwise', async () => {
    const moved = gate({ because: ['charter: always'], origin: { source: 'charter', path: ['x'] } });
    assert.deepEqual(await told(withPay({}), withPay({ gate: moved })), []);
  });

  it('never says of a gate that it became what it was', async () => {
    const others: Partial<Gate>[] = [
      { queue: 'desk', roles: [] },
      { quorum: { count: 2, perRole: [{ role: 'finance.controller', count: 1 }] } },
      { quorum: { count: 1, perRole: [{ role: 'finance.controller', count: 1 }] } },
      { separation: { requester: false, author: false, promoter: false } },
      { separation: { requester: true, author: true, promoter: true, approvers: true } },
      { reason: 'required' },
      { direct: 'required' },
      { timeout: { afterMs: 1_000, action: 'deny', to: [] } },
      { timeout: { afterMs: 1_000, action: 'deny', to: [], hours: 'business' } },
      { timeout: { afterMs: 1_000, action: 'deny', to: [], atMs: 0 } },
      { reminders: [0.5] },
      {
        expiresWith: [
          { kind: 'path', scope: 'input', segments: ['due'], optional: false, text: '$.input.due' },
        ],
      },
    ];
    const sentences: string[] = [];
    for (const other of others)
      sentences.push((await onlyChange(withPay({}), withPay({ gate: gate(other) }))).sentence);
    for (const sentence of sentences) {
      const [, was, is] = /changed: (.*) became (.*)$/.exec(sentence) ?? [];
      assert.notEqual(was, is, sentence);
    }
    assert.equal(new Set(sentences).size, sentences.length);
  });

  it('names what entering a state does, and that it asks nobody', async () => {
    const onEnter: OnEnter = {
      tier: 'irreversible',
      executor: rest('/wire'),
      output: [],
      evidence: null,
      reliability: defaultReliability,
    };
    const entered = (of: Partial<Plan['states'][number]>): Plan =>
      plan([state('open', [transition('pay', 'done', base)]), state('done', [], { terminal: true, ...of })]);
    const added = await onlyChange(entered({}), entered({ onEnter }));
    assert.equal(added.effect, 'wider');
    assert.equal(
      added.sentence,
      'entering `done` now calls POST /wire of `bank` (irreversible), and asks nobody',
    );
    assert.equal((await onlyChange(entered({ onEnter }), entered({}))).effect, 'narrower');
    const other = { ...onEnter, executor: rest('/refund') };
    assert.match(
      (await onlyChange(entered({ onEnter }), entered({ onEnter: other }))).sentence,
      /POST \/wire .* became .* \/refund/,
    );
    const again = { ...onEnter, reliability: { ...defaultReliability, maxAttempts: 3 } };
    assert.equal((await onlyChange(entered({ onEnter }), entered({ onEnter: again }))).effect, 'wider');
    const known = plan([state('open', [transition('pay', 'open', base)])]);
    const inNew = plan([...known.states, state('sent', [], { onEnter })]);
    assert.match(JSON.stringify(await told(known, inNew)), /entering `sent` now calls POST \/wire/);
  });

  it('names what is done where something fails, and how often it is tried', async () => {
    const reliably = (fields: Partial<typeof defaultReliability>): Plan =>
      withPay({ reliability: { ...defaultReliability, ...fields } });
    const fallback = await onlyChange(withPay({}), reliably({ fallback: [rest('/wire')] }));
    assert.deepEqual(fallback, {
      effect: 'wider',
      sentence: 'where `pay` in `open` fails, it now calls POST /wire of `bank`',
    });
    assert.equal((await onlyChange(reliably({ fallback: [rest('/wire')] }), withPay({}))).effect, 'narrower');
    assert.equal((await onlyChange(withPay({}), reliably({ maxAttempts: 5 }))).effect, 'wider');
    assert.equal(
      (await onlyChange(reliably({ retryOn: [] }), reliably({ retryOn: ['timeout'] }))).effect,
      'wider',
    );
    assert.match((await onlyChange(withPay({}), reliably({ timeoutMs: 1 }))).sentence, /`timeoutMs`/);
  });

  it('names where a denial and the end of time lead', async () => {
    const denied = await onlyChange(withPay({}), withPay({ onDeny: 'done' }));
    assert.deepEqual(denied, {
      effect: 'wider',
      sentence: 'a denial of `pay` in `open` moves the run to `done`, where it left the run where it is',
    });
    const timed = withPay({}, { timeoutMs: 60_000, onTimeout: { target: 'done' } });
    assert.deepEqual(await onlyChange(withPay({}, { timeoutMs: 60_000 }), timed), {
      effect: 'wider',
      sentence: 'a run goes to `done` after 1 min, where until now a run ends after 1 min',
    });
  });

  it('leaves no other change of what is done unsaid', async () => {
    const path = {
      kind: 'path',
      scope: 'arguments',
      segments: ['n'],
      optional: false,
      text: '$.arguments.n',
    } as const;
    const changes: Fields[] = [
      { executor: { kind: 'noop', output: { paid: true } } },
      { output: [{ key: 'n', spec: { kind: 'set', value: path } }] },
      { branches: [{ when: { kind: 'anyOf', guards: [] }, target: 'open' }] },
      { prefill: [{ key: 'n', value: { kind: 'literal', value: 1 } }] },
      { summary: { kind: 'text', parts: ['pays nobody'] } },
      { inputSchema: { type: 'object', required: ['n'] } },
      { evidence: 'receipt' },
    ];
    for (const fields of changes)
      assert.equal((await told(withPay({}), withPay(fields))).length, 1, JSON.stringify(fields));
    assert.deepEqual(await told(withPay({}), withPay({ title: 'Pay', description: 'pays' })), []);
  });
});

describe('the differences of two versions as large as they may be', () => {
  const roles = (prefix: string): Guard[] =>
    Array.from({ length: 20_000 }, (_, index) => ({ kind: 'role', role: `${prefix}${index}` }));
  const many = (prefix: string, fields: Fields = base): Plan =>
    plan([
      state(
        'open',
        Array.from({ length: 5_000 }, (_, index) => transition(`${prefix}${index}`, 'done', fields)),
      ),
      state('done', [], { terminal: true }),
    ]);
  const gated = (role: string): Plan =>
    withPay({ gates: Array.from({ length: 500 }, (_, index) => gate({ roles: [`${role}${index}`] })) });
  const tools = (prefix: string): Plan =>
    withPay(
      {},
      {
        charter: {
          ...{ read: [], unmapped: [] },
          execute: Array.from({ length: 20_000 }, (_, index) => `${prefix}${index}`),
          deny: Array.from({ length: 20_000 }, (_, index) => `no-${prefix}${index}`),
        },
      },
    );

  /** How often the comparison gave way to other work. */
  async function compared(
    before: Plan,
    after: Plan,
  ): Promise<{ readonly diff: Diff; readonly turns: number }> {
    let [turns, goesOn] = [0, true];
    const count = (): void => {
      turns += 1;
      if (goesOn) setImmediate(count);
    };
    setImmediate(count);
    const diff = await diffPlans(before, after);
    goesOn = false;
    return { diff, turns };
  }

  // Comparing each gate with each other would take minutes here.
  const inTime = { timeout: 20_000 };

  it('are found with each guard, gate, tool and transition looked at once', inTime, async () => {
    const guards = await diffPlans(withPay({ guards: roles('a') }), withPay({ guards: roles('b') }));
    assert.equal(guards.permissions.length + guards.more.permissions, 40_000);
    assert.ok(
      guards.permissions.every(({ effect }) => effect === 'wider'),
      'the widest are told',
    );
    const charters = await diffPlans(tools('a'), tools('b'));
    assert.equal(charters.permissions.length + charters.more.permissions, 80_000);
    const gates = await diffPlans(gated('a'), gated('b'));
    assert.equal(gates.permissions[0]?.effect ?? 'none', 'other');
    const same = await diffPlans(many('a'), many('a'));
    assert.deepEqual(same, { structural: [], permissions: [], more: { structural: 0, permissions: 0 } });
  });

  it('are found in pieces, and told as far as one answer goes', inTime, async () => {
    const { diff, turns } = await compared(many('a'), many('b', { ...base, guards: roles('r').slice(0, 5) }));
    // How often depends on how fast the machine is.
    assert.ok(turns > 0, `others went on ${turns} times`);
    assert.equal(diff.structural.length + diff.more.structural, 10_000);
    assert.equal(diff.permissions.length + diff.more.permissions, 10_000);
    assert.ok(diff.structural.length > 100 && diff.structural.length <= 1_000);
    assert.ok(JSON.stringify(diff).length < 2.1 * 1024 * 1024);
  });

  it('leave out a change that is larger than an answer, and count it', inTime, async () => {
    const long = 'x'.repeat(2 * 1024 * 1024);
    const diff = await diffPlans(withPay({}), withPay({ description: long }));
    assert.deepEqual([diff.structural, diff.more.structural], [[], 1]);
  });

  it('draw a version in pieces, too', inTime, async () => {
    let [goesOn, turns] = [true, 0];
    const count = (): void => {
      turns += 1;
      if (goesOn) setImmediate(count);
    };
    setImmediate(count);
    const floors = Array.from({ length: 50 }, () => ({ tiers: ['reversible' as const], gate: gate() }));
    const calling = { ...base, executor: rest('/wire') };
    const { edges } = await graphOf(many('a', calling), floors);
    goesOn = false;
    assert.equal(edges.length, 5_000);
    assert.ok(turns > 0, 'others went on');
  });

  it('a denial leads somewhere only where something waits that can be denied', async () => {
    const whens = async (fields: Fields, floored: boolean): Promise<unknown[]> => {
      const floors = floored ? [{ tiers: ['reversible' as const], gate: gate() }] : [];
      const { edges } = await graphOf(withPay({ onDeny: 'open', ...fields }), floors);
      return edges.map(({ when }) => when);
    };
    const calls = { executor: rest('/wire') };
    assert.deepEqual(await whens({}, false), ['target', 'denied']);
    assert.deepEqual(await whens({ gate: null, ...calls }, false), ['target']);
    assert.deepEqual(await whens({ gate: null, ...calls }, true), ['target', 'denied']);
  });
});
