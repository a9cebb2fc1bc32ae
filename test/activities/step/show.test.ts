import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { Executor, Path } from '../../../src/engine/plan.js';
import type { Asking, Denied } from '../../../src/engine/state.js';
import { show } from '../../../src/activities/step/show.js';
import { defaultReliability } from '../../../src/engine/plan.js';
import { path, transition } from '../../engine/build.js';
import { principal } from '../../engine/people.js';

const rest = (connection: string): Executor => ({
  ...{ kind: 'rest', connection, method: 'POST', path: { kind: 'text', parts: ['/pay'] } },
  ...{ query: [], headers: [], body: path('arguments', 'amount') as Path, idempotencyKey: true },
});
const asking = (more: Partial<Asking> = {}): Asking => ({
  ...{ arguments: { amount: 5 }, context: { total: 7 }, input: {}, denied: null, repeatedBy: null },
  ...{ inDoubt: false, done: 0 },
  ...{ requester: principal('bot', 'agent'), ...more },
});
const pay = transition('pay', 'paid', { title: 'Pay', executor: rest('bank') });

describe('what an approver gets', () => {
  it('shows the call, and each that is tried in its stead', () => {
    const reliability = { ...defaultReliability, fallback: [rest('other'), rest('third')] };
    const preview = show({ ...pay, reliability }, asking()).preview as {
      connection: string;
      body: number;
      fallbacks: { connection: string; body: number }[];
    };
    assert.deepEqual([preview.connection, preview.body], ['bank', 5]);
    assert.deepEqual(
      preview.fallbacks.map((fallback) => [fallback.connection, fallback.body]),
      [
        ['other', 5],
        ['third', 5],
      ],
    );
    assert.ok(!('fallbacks' in (show(pay, asking()).preview as object)));
  });

  it('is refused where the calls together are more than one may be, and holds nothing of them', () => {
    const reliability = { ...defaultReliability, fallback: [rest('other'), rest('third')] };
    const big = asking({ arguments: { amount: 'q'.repeat(900_000) } });
    const { refused, preview } = show({ ...pay, reliability }, big);
    assert.equal(refused?.code, 'TOO_LARGE');
    assert.ok(refused.message.includes('2097152'), refused.message);
    assert.ok(JSON.stringify(preview).length < 2_000_000);
    assert.ok(!('refused' in show({ ...pay, reliability: { ...reliability, fallback: [] } }, big)));
  });

  it('is refused where no call of it can be made, and shows what one lacks where another can', () => {
    const reliability = { ...defaultReliability, fallback: [rest('other')] };
    const { refused } = show({ ...pay, reliability }, asking({ arguments: {} }));
    assert.equal(refused?.code, 'INPUT_INVALID');
    assert.match(
      refused.message,
      /^its call can never be made: `\$\.arguments\.amount` in the body does not/,
    );
    const fixed: Executor = { ...rest('other'), body: null } as Executor;
    const shown = show(
      { ...pay, reliability: { ...reliability, fallback: [fixed] } },
      asking({ arguments: {} }),
    );
    assert.ok(!('refused' in shown));
    const preview = shown.preview as Record<string, unknown>;
    assert.deepEqual([preview['kind'], preview['unresolved']], ['rest', '$.arguments.amount']);
    assert.match(String(preview['message']), /does not resolve: it got nothing/);
    const other = show(
      { ...pay, executor: fixed, reliability: { ...reliability, fallback: [rest('third')] } },
      asking({ arguments: {} }),
    );
    assert.ok(!('refused' in other), 'what is tried in its stead may fail');
  });

  it('says in the summary, also in an author’s, who has denied it before, and whether it was the same', () => {
    const denied: Denied = { by: 'ann', at: '2026-01-01T00:00:00.000Z', count: 1, same: true };
    assert.equal(
      show(pay, asking({ denied })).summary,
      'bot asks for Pay (pay) with amount 5; asked again: ann denied it on 2026-01-01T00:00:00.000Z',
    );
    const summary = { kind: 'text' as const, parts: ['of ', path('context', 'total') as Path] };
    assert.equal(
      show({ ...pay, summary }, asking({ denied: { ...denied, count: 3, same: false } })).summary,
      'of 7; asked again with other arguments: ann denied it on 2026-01-01T00:00:00.000Z; pay was denied 3 times by now',
    );
    assert.match(
      show({ ...pay, summary }, asking({ denied: { ...denied, count: 30, same: null } })).summary,
      /; asked again: ann denied it on .*; pay was denied 30 times by now; whether exactly this was among them is not remembered$/,
    );
    assert.equal(show({ ...pay, summary }, asking()).summary, 'of 7');
  });

  it('says that it may have happened already where an unknown outcome is repeated, and who has it repeated', () => {
    const { summary } = show(pay, asking({ repeatedBy: 'ops' }));
    assert.match(summary, /^bot asks for Pay .*; AGAIN: it may have happened already.* ops had it retried$/);
    const doubted = show(pay, asking({ inDoubt: true })).summary;
    assert.match(doubted, /; AGAIN: it may have happened already, its outcome is unknown$/);
    assert.notEqual(show(pay, asking()).summary, summary);
  });

  it('says that it was done before, and how often, in the summary and also in an author’s', () => {
    const summary = { kind: 'text' as const, parts: ['of ', path('context', 'total') as Path] };
    const once = show(pay, asking({ done: 1 }));
    const before = '; ONCE MORE: this run has done pay with exactly these arguments';
    assert.equal(once.summary, `bot asks for Pay (pay) with amount 5${before} once already`);
    assert.match(once.consequence, /^when approved, `pay` runs once more, with exactly these arguments/);
    assert.equal(show({ ...pay, summary }, asking({ done: 3 })).summary, `of 7${before} 3 times already`);
    assert.match(show(pay, asking()).consequence, /^when approved, `pay` runs once, with exactly these/);
  });

  it('says why a call whose kind does not show it is taken for a read', () => {
    const tool: Executor = { kind: 'mcp', connection: 'c', tool: 't', map: null, idempotencyKey: false };
    const shell: Executor = { kind: 'cli', connection: 'c', args: [], stdin: null, idempotencyKey: false };
    for (const executor of [rest('bank'), tool, shell]) {
      const read = { ...pay, tier: 'read_only' as const, executor };
      const { consequence } = show({ ...read, readOnlyBecause: 'its key reads only' }, asking());
      assert.match(consequence, /; it is called a read because: its key reads only$/);
      assert.doesNotMatch(show(read, asking()).consequence, /called a read/);
    }
  });

  it('is the same of the same arguments, in whatever order they and what is in them came', () => {
    const shownOf = (args: Asking['arguments']) => show(pay, asking({ arguments: args }));
    assert.deepEqual(
      shownOf({ to: { iban: 'X', bank: 'Y' }, amount: 5 }),
      shownOf({ amount: 5, to: { bank: 'Y', iban: 'X' } }),
    );
  });

  it('is well-formed and hides nothing, whatever stands in arguments and names', () => {
    const odd = `${'x'.repeat(74)}${'\u{1f600}'.repeat(9)}\u202e`;
    const { summary } = show(pay, asking({ arguments: { text: odd }, requester: principal('b\u200bot') }));
    assert.ok(summary.isWellFormed() && !/[\ufffd\u200b\u202e]/u.test(summary), summary);
  });
});
