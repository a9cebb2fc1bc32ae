import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { diffPlans } from '../../src/api/flow-diff.js';
import type { PermissionChange } from '../../src/api/flow-diff-weigh.js';
import {
  defaultReliability,
  type Executor,
  type Gate,
  type OnEnter,
  type Plan,
} from '../../src/engine/plan.js';
import { gate, plan, state, transition, type Fields } from '../engine/build.js';

// What a version permits that the one before did not is said as a sentence, and weighed.

const base: Fields = { tier: 'reversible', gate: gate(), executor: { kind: 'noop', output: null } };
const withPay = (fields: Fields, of: Partial<Plan> = {}): Plan =>
  plan(
    [
      state('open', [transition('pay', 'done', { ...base, ...fields })]),
      state('done', [], { terminal: true }),
    ],
    of,
  );
const told = (before: Plan, after: Plan): readonly PermissionChange[] => diffPlans(before, after).permissions;
const one = (before: Plan, after: Plan): PermissionChange => {
  const all = told(before, after);
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
    it(`is wider where ${what}, and narrower the other way round`, () => {
      const [before, after] = [withPay({}), withPay({ gate: gate({ timeout }) })];
      const change = one(before, after);
      assert.equal(change.effect, 'wider');
      assert.match(change.sentence, sentence);
      assert.equal(one(after, before).effect, 'narrower');
    });

  it('is wider where time approves sooner than it did', () => {
    const after = (afterMs: number) =>
      withPay({ gate: gate({ timeout: { afterMs, action: 'approve', to: [] } }) });
    assert.equal(one(after(86_400_000), after(1_000)).effect, 'wider');
    assert.equal(one(after(1_000), after(86_400_000)).effect, 'narrower');
  });

  it('is no change where a gate has only been moved or explained otherwise', () => {
    const moved = gate({ because: ['charter: always'], origin: { source: 'charter', path: ['x'] } });
    assert.deepEqual(told(withPay({}), withPay({ gate: moved })), []);
  });

  it('never says of a gate that it became what it was', () => {
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
    const sentences = others.map((other) => one(withPay({}), withPay({ gate: gate(other) })).sentence);
    for (const sentence of sentences) {
      const [, was, is] = /changed: (.*) became (.*)$/.exec(sentence) ?? [];
      assert.notEqual(was, is, sentence);
    }
    assert.equal(new Set(sentences).size, sentences.length);
  });

  it('names what entering a state does, and that it asks nobody', () => {
    const onEnter: OnEnter = {
      tier: 'irreversible',
      executor: rest('/wire'),
      output: [],
      evidence: null,
      reliability: defaultReliability,
    };
    const entered = (of: Partial<Plan['states'][number]>): Plan =>
      plan([state('open', [transition('pay', 'done', base)]), state('done', [], { terminal: true, ...of })]);
    const added = one(entered({}), entered({ onEnter }));
    assert.equal(added.effect, 'wider');
    assert.equal(
      added.sentence,
      'entering `done` now calls POST /wire of `bank` (irreversible), and asks nobody',
    );
    assert.equal(one(entered({ onEnter }), entered({})).effect, 'narrower');
    const other = { ...onEnter, executor: rest('/refund') };
    assert.match(
      one(entered({ onEnter }), entered({ onEnter: other })).sentence,
      /POST \/wire .* became .* \/refund/,
    );
    const again = { ...onEnter, reliability: { ...defaultReliability, maxAttempts: 3 } };
    assert.equal(one(entered({ onEnter }), entered({ onEnter: again })).effect, 'wider');
    const known = plan([state('open', [transition('pay', 'open', base)])]);
    const inNew = plan([...known.states, state('sent', [], { onEnter })]);
    assert.match(JSON.stringify(told(known, inNew)), /entering `sent` now calls POST \/wire/);
  });

  it('names what is done where something fails, and how often it is tried', () => {
    const reliably = (fields: Partial<typeof defaultReliability>): Plan =>
      withPay({ reliability: { ...defaultReliability, ...fields } });
    const fallback = one(withPay({}), reliably({ fallback: [rest('/wire')] }));
    assert.deepEqual(fallback, {
      effect: 'wider',
      sentence: 'where `pay` in `open` fails, it now calls POST /wire of `bank`',
    });
    assert.equal(one(reliably({ fallback: [rest('/wire')] }), withPay({})).effect, 'narrower');
    assert.equal(one(withPay({}), reliably({ maxAttempts: 5 })).effect, 'wider');
    assert.equal(one(reliably({ retryOn: [] }), reliably({ retryOn: ['timeout'] })).effect, 'wider');
    assert.match(one(withPay({}), reliably({ timeoutMs: 1 })).sentence, /`timeoutMs`/);
  });

  it('names where a denial and the end of time lead', () => {
    const denied = one(withPay({}), withPay({ onDeny: 'done' }));
    assert.deepEqual(denied, {
      effect: 'wider',
      sentence: 'a denial of `pay` in `open` moves the run to `done`, where it left the run where it is',
    });
    const timed = withPay({}, { timeoutMs: 60_000, onTimeout: { target: 'done' } });
    assert.deepEqual(one(withPay({}, { timeoutMs: 60_000 }), timed), {
      effect: 'wider',
      sentence: 'a run goes to `done` after 1 min, where until now a run ends after 1 min',
    });
  });

  it('leaves no other change of what is done unsaid', () => {
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
      assert.equal(told(withPay({}), withPay(fields)).length, 1, JSON.stringify(fields));
    assert.deepEqual(told(withPay({}), withPay({ title: 'Pay', description: 'pays' })), []);
  });
});
