import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { expiryText, timeoutAction } from '../../../src/service/approvals/body/words.js';
import { gateViews } from '../../../src/engine/index.js';
import type { GateTimeout, Plan } from '../../../src/engine/plan.js';
import type { ApprovalState } from '../../../src/engine/state.js';
import type { ApprovalRow } from '../../../src/store/approvals/approvals.js';
import { gate, plan, state, transition } from '../build.js';
import { approve, begin, kit, operate, type Walk } from '../walk.js';
import { rest } from '../build.js';
import { agent } from '../people.js';
import { hour, start } from '../walk.js';

// Requesters and approvers are told of the end that comes first, also where it is the end of the run's time.

const short = 6_000;

interface Times {
  readonly timeoutMs: number | null;
  readonly target?: string | null;
  readonly action?: GateTimeout['action'];
}

function flow({ timeoutMs, target = null, action = 'deny' }: Times): Plan {
  const timeout = { afterMs: hour, action, to: action === 'escalate' ? ['cfo'] : [] };
  const pay = transition('pay', 'a', { executor: rest, tier: 'reversible', gate: gate({ timeout }) });
  return plan([state('a', [pay]), state('late')], {
    ...{ timeoutMs, onTimeout: target === null ? null : { target } },
  });
}
function asking(times: Times): Walk {
  const walk = begin(flow(times));
  walk.submit(agent, 'pay');
  return walk;
}

/** When the last approval is said to end, with what action, and in which words. */
function shownEnd({ run }: Walk): [number, string, string] {
  const approval: ApprovalState = run.approvals.at(-1) ?? assert.fail();
  const expiresAt = new Date(approval.expiresAt).toISOString();
  const row = { ...approval, expiresAt } as unknown as ApprovalRow;
  const words = expiryText(row, approval, kit);
  assert.ok(words.startsWith(`at ${expiresAt} `));
  const [view] = gateViews(approval, kit);
  assert.deepEqual([view?.expiresAt, view?.onTimeout], [expiresAt, timeoutAction(row, approval, kit)]);
  return [approval.expiresAt - start, timeoutAction(row, approval, kit), words];
}

describe('the end of an approval, as it is told', () => {
  it("is the run's own where that comes first, whatever its gate would do later", () => {
    for (const action of ['deny', 'escalate', 'approve'] as const)
      for (const target of [null, 'late']) {
        const [after, then, words] = shownEnd(asking({ timeoutMs: short, target, action }));
        assert.deepEqual([after, then], [short, 'deny']);
        assert.match(words, /the run's own time is up.*nothing of it runs$/);
      }
  });

  it("is its gate's where that comes first, or at the same moment, or where the run has no time of its own", () => {
    for (const timeoutMs of [null, hour, 2 * hour])
      for (const action of ['deny', 'escalate', 'approve'] as const) {
        const [after, then, words] = shownEnd(asking({ timeoutMs, action }));
        assert.deepEqual([after, then], [hour, action]);
        assert.equal(words.includes("the run's own time"), false);
      }
  });

  it("is its gate's where the run's time leaves it open: the run stays in its state, and so does what waits there", () => {
    const walk = asking({ timeoutMs: short, target: 'a' });
    assert.equal(shownEnd(walk)[0], hour);
    walk.send({ kind: 'timeout', time: new Date(start + short).toISOString() });
    assert.deepEqual([walk.run.approvals[0]?.status, shownEnd(walk)[0]], ['open', hour]);
  });

  it("is the run's for what was asked of people again, unless the run waits for what they say", () => {
    for (const [target, after] of [
      [null, short],
      ['late', hour],
    ] as const) {
      const walk = asking({ timeoutMs: short, target });
      approve(walk);
      walk.outcome({ status: 'unknown', message: 'lost' } as object);
      const retry = (): unknown => operate(walk, 'retry');
      retry();
      assert.equal(shownEnd(walk)[0], after);
      retry();
      assert.equal(walk.run.approvals.filter(({ status }) => status === 'open').length, 1);
      assert.equal(shownEnd(walk)[0], after);
    }
  });
});
