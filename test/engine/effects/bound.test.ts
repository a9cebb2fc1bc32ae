import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { bindingDigest, boundRules, shownDigest } from '../../../src/engine/index.js';
import type { Executor, Transition } from '../../../src/engine/plan.js';
import type { Json } from '../../../src/model/values/json.js';
import { mostContextBytes, mostOpenApprovals, mostOpenBytes } from '../../../src/model/limits.js';
import type { Asking, Kit, Shown } from '../../../src/engine/state.js';
import { expr, gate, literal, onEnter, path, plan, rest, state, transition } from '../build.js';
import { agent, ann, principal } from '../people.js';
import { answerOf, begin, kit, operate, statuses, time, type Walk } from '../walk.js';

// What an approval binds, whose request it is, where a denial leads, and what a retry asks again.

const other = principal('drone', 'agent');
const operator = principal('op', 'human', { roles: ['finance.controller'], permissions: ['run.operate'] });
const robot = principal('robot', 'agent', { permissions: ['run.operate'] });

const two = (pay: Partial<Transition>): ReturnType<typeof plan> =>
  plan([
    state('a', [
      transition('pay', 'a', { gates: [gate()], executor: rest, tier: 'irreversible', ...pay }),
      transition('slow', 'a', { executor: rest }),
      transition('leave', 'b', { executor: rest }),
      transition('note', 'a', {
        output: [{ key: 'n', spec: { kind: 'set', value: path('arguments', 'n') } }],
      }),
    ]),
    state('b', [transition('pay', 'a', { title: 'other', gates: [gate()], executor: rest })]),
    state('denied', [transition('again', 'a')]),
  ]);
const facing = (pay: Partial<Transition> = {}, hands: Kit = kit): Walk =>
  begin(two(pay), {}, principal('starter'), hands);
const idOf = (walk: Walk, index = -1): string => walk.run.approvals.at(index)?.id ?? '';
const retry = (walk: Walk, by = operator) => operate(walk, 'retry', { by });
const recorded = (walk: Walk, type: string) => walk.last.trace.filter((fact) => fact.type === type);

/** A kit that remembers what it was asked to show. */
function showing(): { hands: Kit; asked: { transition: Transition; asking: Asking; shown: Shown }[] } {
  const asked: { transition: Transition; asking: Asking; shown: Shown }[] = [];
  const show: Kit['show'] = (of, asking) => {
    const shown = { summary: `${of.title} ${asked.length}`, consequence: of.target, preview: null };
    asked.push({ transition: of, asking, shown });
    return shown;
  };
  return { hands: { ...kit, show }, asked };
}

describe('the digest of an action', () => {
  const walk = facing();
  walk.submit(agent, 'pay', { amount: 5 });
  const approval = walk.run.approvals[0] ?? assert.fail();
  const { action } = approval;

  it('is the one that its parts give, and another one when any of them is another', () => {
    const { run } = walk;
    const { bound } = action;
    const of = (more: object, moreOfRun: object = {}, by: Json = boundRules(approval.gates)): string =>
      bindingDigest(kit, { ...run, ...moreOfRun }, { ...action, ...more }, by);
    assert.equal(of({}), action.digest);
    const changed = [
      ...[{ transition: 'p' }, { tool: 't' }, { tier: 'reversible' }, { arguments: { amount: 6 } }],
      ...[{ requester: other }, { requester: { ...agent, kind: 'human' } }, { requester: null }],
      ...[{ connections: 'sha256:x' }, { reads: { '$.context.n': 'sha256:x' } }, { shown: 'sha256:x' }].map(
        (edit) => ({ bound: { ...bound, ...edit } }),
      ),
    ].map((edit) => of(edit));
    const elsewhere = [
      ...[{ run: 'run_2' }, { stay: 2 }, { state: 'b' }, { planHash: 'x' }, { environment: 'x' }],
      { successes: [[action.idempotencyKey.split(':').slice(1, -1).join(':'), 1]] },
    ].map((edit) => of({}, edit));
    const all = [
      action.digest,
      ...changed,
      ...elsewhere,
      of({}, {}, boundRules([{ rule: gate({ because: ['x'] }) }])),
    ];
    assert.deepEqual([...new Set(all)], all);
  });

  it('of a recipe that this engine does not know is none, so what it binds does not run', () => {
    const tampered = facing();
    tampered.submit(agent, 'pay');
    const approvals = tampered.run.approvals.map((approval) => ({
      ...approval,
      action: { ...approval.action, recipe: 2 as 1 },
    }));
    tampered.run = { ...tampered.run, approvals };
    tampered.decide(ann, idOf(tampered), 'approve');
    assert.equal(tampered.run.executing, null);
    assert.equal(tampered.last.actions.at(-1)?.error?.code, 'DIGEST_MISMATCH');
  });

  it('binds nothing that an answer of the plan only looks like reading', () => {
    const output = {
      kind: 'path',
      written: { kind: 'path', scope: 'input', segments: ['a'], text: '$.input.a' },
    };
    const walk = facing({ executor: { kind: 'noop', output } });
    walk.submit(agent, 'pay');
    assert.deepEqual(statuses(walk), ['open']);
    assert.deepEqual(walk.run.approvals[0]?.action.bound.reads, {});
  });

  it('is of what is shown of this very transition of this very state, made once', () => {
    const { hands, asked } = showing();
    const shown = facing({ title: 'first' }, hands);
    shown.submit(agent, 'leave');
    shown.outcome();
    shown.submit(agent, 'pay', { amount: 5 });
    shown.submit(agent, 'pay', { amount: 5 });
    assert.deepEqual(
      asked.map((call) => [call.transition.title, call.asking.requester?.id, call.asking.denied]),
      [
        ['other', 'bot', null],
        ['other', 'bot', null],
      ],
    );
    const opened = shown.history.flatMap((result) => result.actions).filter((row) => row.shown !== undefined);
    assert.deepEqual(
      opened.map((row) => row.shown),
      [asked[0]?.shown],
    );
    const { bound } = shown.run.approvals[0]?.action ?? assert.fail();
    assert.equal(bound.shown, shownDigest(kit, asked[0]?.shown ?? assert.fail()));
    assert.equal(shown.run.approvals.length, 1);
  });
});

describe('what cannot be shown', () => {
  const shows = (more: Partial<Shown>): Kit => ({
    ...kit,
    show: () => ({ summary: '', consequence: '', preview: null, ...more }),
  });

  it('is asked of nobody: the submit is refused, and no approval is opened', () => {
    for (const code of ['TOO_LARGE', 'INPUT_INVALID'] as const) {
      const walk = facing({}, shows({ refused: { code, message: 'too much' } }));
      const said = answerOf(walk.submit(agent, 'pay', { amount: 5 }));
      assert.equal(said?.code, code);
      assert.equal(walk.run.approvals.length, 0);
      assert.equal(recorded(walk, 'transition.rejected').length, 1);
    }
  });

  it('is also what is more than a run keeps for all of its open approvals together', () => {
    const walk = facing({}, shows({ preview: 'q'.repeat(2_000_000) }));
    const codes = [1, 2, 3].map((amount) => answerOf(walk.submit(agent, 'pay', { amount }))?.code);
    assert.deepEqual(codes, [undefined, undefined, 'RUN_FULL']);
    assert.deepEqual(
      walk.run.approvals.map((approval) => approval.previewBytes),
      [2_000_002, 2_000_002],
    );
    // One that opened before they were counted takes no room.
    const [{ previewBytes: _counted, ...old } = assert.fail(), ...others] = walk.run.approvals;
    walk.run = { ...walk.run, approvals: [old, ...others] };
    assert.equal(answerOf(walk.submit(agent, 'pay', { amount: 3 }))?.status, 'pending');
  });

  it('counts their arguments with what they show, so that what is kept of both is never more than a run may hold', () => {
    const walk = facing({}, shows({ preview: 'q'.repeat(1_000_000) }));
    const big = 'x'.repeat(1_000_000);
    const codes = [1, 2, 3].map((amount) => answerOf(walk.submit(agent, 'pay', { amount, big }))?.code);
    assert.deepEqual(codes, [undefined, undefined, 'RUN_FULL']);
    const taken = walk.run.approvals.map(
      (approval) => (approval.argumentBytes ?? 0) + (approval.previewBytes ?? 0),
    );
    assert.deepEqual(taken, [2_000_021 + 2, 2_000_021 + 2]);
    // One that opened before they were counted takes no room.
    const [{ argumentBytes: _counted, ...old } = assert.fail(), ...others] = walk.run.approvals;
    walk.run = { ...walk.run, approvals: [{ ...old, previewBytes: 0 }, ...others] };
    assert.equal(answerOf(walk.submit(agent, 'pay', { amount: 3, big }))?.status, 'pending');
  });

  it('is also one approval more than a run may have open, and what asks nobody goes on', () => {
    const walk = facing({}, shows({}));
    for (let amount = 0; amount < mostOpenApprovals; amount += 1) walk.submit(agent, 'pay', { amount });
    assert.equal(walk.run.approvals.length, mostOpenApprovals);
    assert.equal(answerOf(walk.submit(agent, 'pay', {}))?.code, 'RUN_FULL');
    walk.submit(agent, 'leave');
    assert.notEqual(walk.run.executing, null);
    walk.outcome();
    assert.equal(walk.run.approvals.filter(({ status }) => status === 'open').length, 0);
  });

  it('nor is a context made that no run may have', () => {
    const operands = Array.from({ length: 3 }, () => path('arguments', 'n'));
    const note = transition('note', 'a', { output: [{ key: 'n', spec: { kind: 'concat', operands } }] });
    const walk = begin(plan([state('a', [note])]));
    assert.equal(answerOf(walk.submit(agent, 'note', { n: 'q'.repeat(200_000) }))?.code, 'RUN_FULL');
    assert.deepEqual(walk.run.context, {});
    // Nor an approval that is too large together with those before it.
    const keep = transition('keep', 'a', {
      output: [{ key: 'k', spec: { kind: 'set', value: operands[0] ?? assert.fail() } }],
    });
    const kept = begin(plan([state('a', [keep])]));
    const before = { old: 'q'.repeat(400_000) };
    kept.run = { ...kept.run, context: before };
    const said = JSON.stringify(answerOf(kept.submit(agent, 'keep', { n: 'q'.repeat(200_000) })));
    assert.match(said, /the context would take 6\d{5} bytes/);
    assert.deepEqual(kept.run.context, before);
  });
});

describe('the same request by somebody else', () => {
  it('opens an approval of its own, which its own decision alone lets through', () => {
    const walk = facing();
    walk.submit(agent, 'pay', { amount: 5 });
    walk.submit(other, 'pay', { amount: 5 });
    walk.submit({ ...agent, kind: 'human' }, 'pay', { amount: 5 });
    assert.deepEqual(
      walk.run.approvals.map((approval) => approval.requesters),
      [['bot'], ['drone'], ['bot']],
    );
    assert.equal(new Set(walk.run.approvals.map((approval) => approval.action.digest)).size, 3);
    const crossed = walk.decide(ann, idOf(walk, 1), 'approve', walk.run.approvals[0]?.action.digest);
    assert.equal(answerOf(crossed)?.code, 'DIGEST_MISMATCH');
  });

  it('is superseded when one of them has been done: open, or approved and waiting for its turn', () => {
    const walk = facing();
    for (const who of [agent, other, ann]) walk.submit(who, 'pay', { amount: 5 });
    walk.submit(agent, 'pay', { amount: 6 });
    walk.decide(operator, idOf(walk, 0), 'approve');
    walk.decide(operator, idOf(walk, 1), 'approve');
    assert.deepEqual(statuses(walk), ['approved', 'approved', 'open', 'open']);
    walk.outcome();
    assert.deepEqual(statuses(walk), ['consumed', 'revoked', 'revoked', 'open']);
    assert.deepEqual(
      walk.run.evidence.map(({ kind, by }) => [kind, by]),
      [['human_request', 'op']],
    );
    assert.deepEqual(
      walk.last.actions.map((row) => [row.action.requester?.id, row.status, row.error?.code]),
      [
        ['bot', 'executed', undefined],
        ['drone', 'revoked', 'APPROVAL_REVOKED'],
        ['ann', 'revoked', 'APPROVAL_REVOKED'],
      ],
    );
    assert.equal(walk.run.executing, null);
    assert.match(String(recorded(walk, 'approval.revoked')[0]?.data['reason']), /^superseded: `pay`.*`bot`/);
    assert.equal(answerOf(walk.decide(operator, idOf(walk, 2), 'approve'))?.code, 'APPROVAL_REVOKED');
  });

  it('leaves no evidence of its approval where the run has moved on before its turn came', () => {
    const walk = facing();
    walk.submit(agent, 'pay');
    walk.submit(agent, 'leave');
    walk.decide(ann, idOf(walk), 'approve');
    assert.deepEqual(statuses(walk), ['approved']);
    walk.outcome();
    assert.deepEqual([walk.run.state, statuses(walk), walk.run.evidence], ['b', ['revoked'], []]);
    const records = walk.history.flatMap(({ trace }) => trace.map(({ type }) => type));
    assert.ok(!records.includes('evidence.recorded'));
  });

  it('is not superseded by one that failed, and has its idempotency key', () => {
    const walk = facing();
    for (const who of [agent, other]) walk.submit(who, 'pay');
    for (const index of [0, 1]) walk.decide(ann, idOf(walk, index), 'approve');
    const first = walk.run.executing?.action.idempotencyKey;
    walk.outcome({ status: 'failed', errorClass: 'permanent', message: 'no', attempt: 1 } as never);
    assert.equal(walk.run.executing?.action.requester?.id, 'drone');
    assert.equal(walk.run.executing.action.idempotencyKey, first);
  });

  it('of a step that the runtime takes is named so', () => {
    const of = plan([
      state('a', [transition('go', 'b', { actor: 'deterministic', gates: [gate()] })]),
      state('b'),
    ]);
    const walk = begin(of);
    walk.decide(ann, idOf(walk), 'approve');
    assert.equal(walk.run.status, 'completed');
  });
});

describe('a denial', () => {
  const deny = (walk: Walk, index = -1): void => void walk.decide(ann, idOf(walk, index), 'deny');

  it('leads where `onDeny` says, whatever asked for the approval', () => {
    const floor = { tiers: ['irreversible' as const], gate: gate({ because: ['environment'] }) };
    const floored: Kit = { ...kit, floors: [floor] };
    const human: Executor = { kind: 'human', queue: null, roles: ['finance.controller'] };
    for (const walk of [
      facing({ onDeny: 'denied' }),
      facing({ onDeny: 'denied', executor: null, tier: null }),
      facing({ onDeny: 'denied', executor: human, gates: [] }),
      facing({ onDeny: 'denied', gates: [] }, floored),
    ]) {
      walk.submit(agent, 'pay');
      deny(walk);
      assert.deepEqual([walk.run.state, walk.run.status, statuses(walk)], ['denied', 'running', ['denied']]);
    }
  });

  it('ends a run whose `onDeny` is a terminal state', () => {
    const walk = begin(
      plan([state('a', [transition('pay', 'a', { gates: [gate()], onDeny: 'no' })]), state('no')]),
    );
    walk.submit(agent, 'pay');
    deny(walk);
    assert.equal(walk.run.status, 'completed');
  });

  it('waits with its move for the outcome of what executes', () => {
    const walk = facing({ onDeny: 'denied' });
    walk.submit(agent, 'pay');
    walk.submit(agent, 'slow');
    deny(walk);
    assert.deepEqual([walk.run.state, statuses(walk)], ['a', ['denied']]);
    walk.outcome({ status: 'failed', errorClass: 'permanent', message: 'no', attempt: 1 } as never);
    assert.deepEqual([walk.run.state, walk.run.executing], ['denied', null]);
    // First the state is left, and entered again.
    walk.submit(agent, 'again');
    assert.deepEqual([walk.run.state, walk.run.status], ['a', 'running']);
  });

  it('moves nothing when the run has left that stay meanwhile, and stays denied', () => {
    const walk = facing({ onDeny: 'denied' });
    walk.submit(agent, 'pay');
    walk.submit(agent, 'leave');
    deny(walk);
    walk.outcome();
    assert.deepEqual([walk.run.state, statuses(walk)], ['b', ['denied']]);
  });

  it('moves once of several that wait, and again for none that leads nowhere', () => {
    const walk = facing({ onDeny: 'denied' });
    for (const n of [1, 2]) walk.submit(agent, 'pay', { n });
    walk.submit(agent, 'slow');
    deny(walk, 0);
    deny(walk, 1);
    const version = walk.run.version;
    walk.outcome();
    assert.deepEqual([walk.run.state, walk.run.version], ['denied', version + 2]);
    // Then the run stays in its state, and nothing of it is lost.
    const self = facing({ onDeny: 'a' });
    for (const n of [1, 2]) self.submit(agent, 'pay', { n });
    deny(self, 0);
    assert.deepEqual([self.run.state, statuses(self)], ['a', ['denied', 'open']]);
    const nowhere = facing();
    nowhere.submit(agent, 'pay');
    const approvals = nowhere.run.approvals.map((approval) => ({
      ...approval,
      status: 'denied' as const,
      queued: true,
    }));
    nowhere.run = { ...nowhere.run, approvals };
    nowhere.submit(agent, 'slow');
    nowhere.outcome();
    assert.deepEqual([nowhere.run.state, nowhere.run.approvals[0]?.queued], ['a', false]);
  });

  it('waits while the outcome of another effect is unknown, and gives way to the end of the run', () => {
    const walk = facing({ onDeny: 'denied' });
    walk.submit(agent, 'pay');
    walk.submit(agent, 'slow');
    walk.outcome({ status: 'unknown', message: 'lost', attempt: 1 } as never);
    deny(walk);
    assert.deepEqual([walk.run.state, walk.run.status], ['a', 'stuck']);
    const cancelled = { ...walk, run: walk.run };
    retry(walk);
    walk.outcome();
    assert.equal(walk.run.state, 'denied');
    walk.run = cancelled.run;
    operate(walk, 'cancel');
    assert.deepEqual([walk.run.state, walk.run.status, statuses(walk)], ['a', 'cancelled', ['denied']]);
  });

  it('is told to whoever is asked again, with the same or with other arguments', () => {
    const { hands, asked } = showing();
    const walk = facing({}, hands);
    walk.submit(agent, 'pay', { amount: 5 });
    deny(walk);
    walk.submit(other, 'pay', { amount: 5 });
    walk.submit(other, 'pay', { amount: 6 });
    deny(walk);
    walk.submit(agent, 'pay', { amount: 6 });
    const said = asked.map((call) => call.asking.denied);
    assert.deepEqual(
      said.map((denial) => (denial === null ? null : [denial.by, denial.at, denial.count, denial.same])),
      [null, ['ann', time, 1, true], ['ann', time, 1, false], ['ann', time, 2, true]],
    );
    // It is the same request, though its approvers are told of an earlier denial.
    const { length } = walk.run.approvals;
    walk.submit(other, 'pay', { amount: 5 });
    assert.equal(walk.run.approvals.length, length);
  });

  it('is told as it was where other arguments were denied by others meanwhile', () => {
    const { hands, asked } = showing();
    const walk = facing({}, hands);
    const bob = principal('bob', 'human', { roles: ['finance.controller'] });
    for (const [amount, who] of [
      [5, ann],
      [6, bob],
      [5, ann],
      [7, bob],
    ] as const) {
      walk.submit(agent, 'pay', { amount });
      walk.decide(who, idOf(walk), 'deny');
    }
    walk.submit(agent, 'pay', { amount: 5 });
    const denied = asked.at(-1)?.asking.denied;
    assert.deepEqual([denied?.by, denied?.count, denied?.same], ['ann', 4, true]);
    walk.decide(ann, idOf(walk), 'deny');
    // The last twenty different requests are remembered, and how often all were denied.
    for (let amount = 100; amount < 120; amount += 1) {
      walk.submit(agent, 'pay', { amount });
      walk.decide(bob, idOf(walk), 'deny');
    }
    assert.equal(walk.run.denials.length, 20);
    walk.submit(agent, 'pay', { amount: 5 });
    const late = asked.at(-1)?.asking.denied;
    assert.deepEqual([late?.by, late?.count, late?.same], ['bob', 25, null]);
  });

  it('is told that exactly this was not denied, where each request that was denied is remembered', () => {
    const { hands, asked } = showing();
    const walk = facing({}, hands);
    for (let amount = 0; amount < 20; amount += 1) {
      walk.submit(agent, 'pay', { amount });
      walk.decide(ann, idOf(walk), 'deny');
    }
    walk.submit(agent, 'pay', { amount: 20 });
    const denied = asked.at(-1)?.asking.denied;
    assert.deepEqual([denied?.count, denied?.same], [20, false]);
  });
});

describe('the same request where a connection stands for something else by now', () => {
  const pay = plan([state('a', [transition('pay', 'a', { gates: [gate()], executor: rest })])]);
  const openAfter = (hands: Partial<Kit>): number => {
    let address = 'first';
    const walk = begin(pay, {}, agent, { ...kit, ...hands, connection: () => `sha256:${address}` });
    walk.submit(agent, 'pay', { amount: 5 });
    address = 'second';
    walk.submit(agent, 'pay', { amount: 5 });
    return walk.run.approvals.length;
  };

  it('is another, and where nobody knows what it stands for, the same', () => {
    assert.equal(openAfter({}), 2);
    assert.equal(openAfter({ trustsConnections: true }), 1);
  });
});

describe('what was done before', () => {
  it('is told to whoever is asked for it again, of the same arguments alone and whoever asked', () => {
    const { hands, asked } = showing();
    const only = plan([state('a', [transition('pay', 'a', { gates: [gate()], executor: rest })])]);
    const walk = begin(only, {}, principal('starter'), hands);
    const done = (args: object): number | undefined => {
      walk.submit(agent, 'pay', args as never);
      return asked.at(-1)?.asking.done;
    };
    const approve = (): void => {
      walk.decide(ann, idOf(walk), 'approve');
      walk.outcome();
    };
    assert.equal(done({ amount: 5 }), 0);
    assert.equal(done({ amount: 5 }), 0, 'asked for is not done');
    approve();
    assert.equal(done({ amount: 6 }), 0);
    assert.equal(done({ amount: 5 }), 1);
    approve();
    walk.submit(other, 'pay', { amount: 5 });
    assert.equal(asked.at(-1)?.asking.done, 2);
    // What failed was not done.
    walk.decide(ann, idOf(walk), 'approve');
    walk.outcome({ status: 'failed', errorClass: 'permanent', message: 'no', attempt: 1 } as never);
    assert.equal(done({ amount: 5 }), 2);
  });

  it('is not told of what a transition of the same name in another state has done, nor that it was denied', () => {
    const { hands, asked } = showing();
    const walk = facing({}, hands);
    walk.submit(agent, 'pay', { amount: 5 });
    walk.decide(ann, idOf(walk), 'approve');
    walk.outcome();
    walk.submit(agent, 'pay', { amount: 5 });
    assert.equal(asked.at(-1)?.asking.done, 1);
    walk.decide(ann, idOf(walk), 'deny');
    walk.submit(agent, 'leave');
    walk.outcome();
    walk.submit(agent, 'pay', { amount: 5 });
    const { asking } = asked.at(-1) ?? assert.fail();
    assert.deepEqual([walk.run.state, asking.done, asking.denied], ['b', 0, null]);
  });
});

describe('a retry of an effect whose outcome is unknown', () => {
  const lost = { status: 'unknown', message: 'lost', attempt: 1 } as never;
  const stuck = (pay: Partial<Transition> = {}, hands: Kit = kit): Walk => {
    const walk = facing(pay, hands);
    walk.submit(agent, 'pay', { amount: 5 });
    if (walk.run.executing === null) walk.decide(ann, idOf(walk), 'approve');
    walk.outcome(lost);
    assert.equal(walk.run.problem?.code, 'EXECUTOR_UNKNOWN');
    return walk;
  };

  it('is refused to everybody but humans, recorded, and changes nothing', () => {
    const entering = begin(plan([state('a', [transition('go', 'a')], onEnter())]));
    entering.outcome(lost);
    for (const walk of [stuck(), stuck({ gates: [] }), entering])
      for (const who of [robot, principal('cron', 'system', { permissions: ['run.operate'] })]) {
        const { approvals, problem, stuckOn } = walk.run;
        assert.equal(answerOf(retry(walk, who))?.code, 'HUMANS_ONLY');
        assert.deepEqual(
          [walk.run.status, walk.run.approvals, walk.run.problem, walk.run.stuckOn],
          ['stuck', approvals, problem, stuckOn],
        );
        assert.equal(recorded(walk, 'transition.rejected')[0]?.data['code'], 'HUMANS_ONLY');
      }
    retry(entering);
    assert.equal(entering.run.executing?.at, 'onEnter');
  });

  it('has its idempotency key, and runs at once where nothing asks for an approval', () => {
    const walk = stuck({ gates: [] });
    const key = walk.history.flatMap((result) => result.actions)[0]?.action.idempotencyKey;
    retry(walk);
    assert.equal(walk.run.executing?.action.idempotencyKey, key);
    assert.deepEqual([walk.run.status, walk.run.problem, walk.run.stuckOn], ['running', null, null]);
  });

  it('is approved anew, by neither of those who want it, and the run waits in the meantime', () => {
    const walk = stuck();
    const key = walk.run.approvals[0]?.action.idempotencyKey;
    assert.equal(answerOf(retry(walk))?.status, 'accepted');
    retry(walk, { ...operator, id: 'ops' });
    assert.deepEqual(statuses(walk), ['consumed', 'open']);
    assert.deepEqual([walk.run.status, walk.run.stuckOn?.kind], ['stuck', 'action']);
    assert.deepEqual(walk.run.approvals[1]?.requesters, ['bot', 'op', 'ops']);
    assert.equal(answerOf(walk.submit(agent, 'slow'))?.code, 'RUN_STUCK');
    assert.equal(answerOf(walk.decide(operator, idOf(walk), 'approve'))?.code, 'NOT_AN_APPROVER');
    walk.decide(ann, idOf(walk), 'approve');
    assert.equal(walk.run.executing?.action.idempotencyKey, key);
    assert.deepEqual([walk.run.status, walk.run.problem, walk.run.stuckOn], ['running', null, null]);
    walk.outcome();
    assert.deepEqual([walk.run.state, walk.run.status, statuses(walk)[1]], ['a', 'running', 'consumed']);
  });

  it('does not count the approval of who asked for it to be done again after having approved it', () => {
    const walk = stuck({ gates: [gate({ quorum: { count: 1, perRole: [] } })] });
    const [first, second] = [ann, { ...ann, id: 'bea' }];
    walk.kit = {
      ...kit,
      floors: [{ tiers: ['irreversible'], gate: gate({ quorum: { count: 2, perRole: [] } }) }],
    };
    retry(walk);
    const late = { ...operator, id: 'late' };
    walk.decide(late, idOf(walk), 'approve');
    retry(walk, late);
    assert.ok(walk.run.approvals.at(-1)?.requesters.includes('late'));
    walk.decide(first, idOf(walk), 'approve');
    assert.equal(walk.run.executing, null);
    walk.decide(second, idOf(walk), 'approve');
    assert.notEqual(walk.run.executing, null);
  });

  it('leaves the run stuck when it is denied, and starts nothing else that was approved', () => {
    const walk = facing({ onDeny: 'denied' });
    walk.submit(agent, 'pay', { amount: 5 });
    walk.submit(agent, 'pay', { amount: 6 });
    walk.decide(ann, idOf(walk, 0), 'approve');
    walk.outcome(lost);
    walk.decide(ann, idOf(walk, 1), 'approve');
    retry(walk);
    walk.decide(ann, idOf(walk), 'deny');
    assert.deepEqual([walk.run.state, walk.run.status, walk.run.executing], ['a', 'stuck', null]);
    assert.deepEqual(statuses(walk), ['consumed', 'approved', 'denied']);
  });

  it('is refused, on record, where it cannot be asked for by now, and the run stays stuck on what it was', () => {
    const shown = { summary: '', consequence: '', preview: null };
    const endless = gate({
      expiresWith: [
        { kind: 'path', scope: 'context', segments: ['until'], optional: false, text: '$.context.until' },
      ],
    });
    const ways: Record<string, (walk: Walk) => void> = {
      TOO_LARGE: (walk) =>
        (walk.kit = {
          ...kit,
          show: () => ({ ...shown, refused: { code: 'TOO_LARGE', message: 'too large' } }),
        }),
      INPUT_INVALID: (walk) => (walk.kit = { ...kit, floors: [{ tiers: ['irreversible'], gate: endless }] }),
      RUN_FULL: (walk) => (walk.run = { ...walk.run, context: { large: 'x'.repeat(mostContextBytes) } }),
    };
    const full = (walk: Walk): void => {
      const [first = assert.fail()] = walk.run.approvals;
      const action = { ...first.action, idempotencyKey: 'another' };
      const open = { ...first, action, id: 'apr_open', status: 'open', previewBytes: mostOpenBytes } as const;
      walk.run = { ...walk.run, approvals: [open] };
    };
    const cases = [...Object.entries(ways), ['RUN_FULL', full] as const];
    for (const [code, change] of cases) {
      const output = [{ key: 'n', spec: { kind: 'set', value: path('arguments', 'amount') } }] as const;
      const walk = stuck({ output });
      change(walk);
      const { problem, stuckOn, approvals } = walk.run;
      const said = retry(walk);
      assert.deepEqual([answerOf(said)?.status, answerOf(said)?.code], ['refused', code]);
      assert.deepEqual(
        [walk.run.status, walk.run.problem, walk.run.stuckOn, walk.run.approvals],
        ['stuck', problem, stuckOn, approvals],
      );
      assert.deepEqual(
        said.trace.map(({ type, data }) => [type, data['code']]),
        [['transition.rejected', code]],
      );
    }
  });

  it('is told to whoever is asked, also after a failure that may have had its effect, until it has succeeded', () => {
    const { hands, asked } = showing();
    const walk = facing({}, hands);
    const wasInDoubt = (): boolean | undefined => asked.at(-1)?.asking.inDoubt;
    const failing = { status: 'failed', errorClass: 'timeout', message: 'no answer', attempt: 1 };
    const askAnd = (result: object): void => {
      walk.submit(agent, 'pay', { amount: 5 });
      walk.decide(ann, idOf(walk), 'approve');
      walk.outcome(result as never);
    };
    askAnd(failing);
    walk.submit(other, 'pay', { amount: 6 });
    askAnd({ ...failing, effectPossible: true });
    assert.equal(wasInDoubt(), false);
    walk.submit(agent, 'pay', { amount: 7 });
    assert.equal(wasInDoubt(), false);
    askAnd({ ...failing, errorClass: 'permanent' });
    assert.equal(wasInDoubt(), true);
    askAnd({ status: 'succeeded', output: {}, response: {}, evidence: [], attempt: 1, outputRef: null });
    assert.equal(wasInDoubt(), true);
    walk.submit(agent, 'pay', { amount: 5 });
    assert.equal(wasInDoubt(), false);
  });

  it('leaves no approval of the same action open, whose card does not say it', () => {
    for (const result of [
      lost,
      { status: 'failed', errorClass: 'timeout', message: '', attempt: 1, effectPossible: true },
    ]) {
      const walk = facing();
      for (const who of [agent, other]) walk.submit(who, 'pay', { amount: 5 });
      walk.submit(agent, 'pay', { amount: 6 });
      walk.decide(ann, idOf(walk, 0), 'approve');
      walk.decide(ann, idOf(walk, 1), 'approve');
      walk.outcome(result as never);
      assert.deepEqual(statuses(walk), ['consumed', 'revoked', 'open']);
      assert.equal(walk.run.executing, null);
      assert.match(
        String(recorded(walk, 'approval.revoked')[0]?.data['reason']),
        /has happened is not known: ask again/,
      );
    }
  });

  it('passes the floors, guards and charter that hold now', () => {
    const floored = stuck({ gates: [] });
    floored.kit = { ...kit, floors: [{ tiers: ['irreversible'], gate: gate() }] };
    retry(floored);
    assert.deepEqual([floored.run.executing, statuses(floored)], [null, ['open']]);

    const guarded = stuck({ gates: [], guards: [expr(path('context', 'n'), '==', literal(null))] });
    guarded.run = { ...guarded.run, context: { n: 1 } };
    assert.equal(answerOf(retry(guarded))?.code, 'GUARD_REJECTED');
    assert.deepEqual([guarded.run.status, guarded.run.stuckOn?.kind], ['stuck', 'action']);
    assert.equal(recorded(guarded, 'guard.evaluated')[0]?.actor.id, 'bot');

    const charter = { read: [], execute: ['t'], deny: ['t'], unmapped: [] };
    const denied = begin({ ...two({ gates: [], tool: 't' }), charter });
    const { stuckOn } = stuck({ gates: [] }).run;
    denied.run = { ...denied.run, status: 'stuck', stuckOn, problem: null };
    assert.equal(answerOf(retry(denied))?.code, 'BLOCKED');
    assert.equal(recorded(denied, 'transition.rejected')[0]?.policy?.rule, 'denied');
  });
});

describe('an action whose connection the environment does not have', () => {
  const having = (...names: readonly string[]): Kit => ({
    ...kit,
    connection: (name) => (names.includes(name) ? `sha256:${name}` : null),
  });
  const by = (connection: string): Executor => ({ ...rest, connection }) as Executor;
  const trying = (...names: readonly string[]): Partial<Transition> => ({
    executor: by('c'),
    reliability: { ...transition('x', 'x').reliability, fallback: names.map(by) },
  });

  it('is asked of nobody, and says what is missing', () => {
    for (const [pay, said] of [
      [{}, /environment `dev` has no connection `c`: declare it there/],
      [trying('c', 'd'), /has no connection `c` and no `d`: declare/],
    ] as const) {
      const walk = facing(pay, having());
      const refused = answerOf(walk.submit(agent, 'pay')) as Record<string, string>;
      const { status, code, rule, message: told } = refused;
      assert.deepEqual([status, code, rule], ['refused', 'BLOCKED', 'environment']);
      assert.deepEqual(walk.run.approvals, []);
      assert.match(told ?? '', said);
    }
  });

  it('is asked for where a fallback has one, where a person does it, and where it calls nothing', () => {
    const human: Executor = { kind: 'human', queue: null, roles: ['finance.controller'] };
    for (const pay of [trying('d'), { executor: human }, { executor: null }]) {
      const walk = facing(pay, having('d'));
      walk.submit(agent, 'pay');
      assert.deepEqual(statuses(walk), ['open']);
    }
  });

  it('sticks where the runtime would ask, until the policies have it', () => {
    const chain = plan([
      state('a', [transition('pay', 'b', { actor: 'deterministic', gates: [gate()], executor: rest })]),
      state('b'),
    ]);
    const { run } = begin(chain, {}, principal('starter'), having());
    assert.deepEqual([run.status, run.problem?.code, run.approvals.length], ['stuck', 'BLOCKED', 0]);
    assert.deepEqual(run.stuckOn, { kind: 'chain', until: 'policies' });
  });

  it('tells, once it is approved, what is gone from what is another one', () => {
    const afterwards = (pay: Partial<Transition>, ...names: readonly string[]): string => {
      const walk = facing(pay, having('c', 'd'));
      walk.submit(agent, 'pay');
      walk.kit = having(...names);
      walk.decide(ann, idOf(walk), 'approve');
      assert.equal(walk.run.executing, null);
      return String(recorded(walk, 'transition.rejected').at(-1)?.data?.['message']);
    };
    assert.match(
      afterwards({}),
      /is gone: environment `dev` has no connection `c`.*asking again is refused$/,
    );
    assert.match(afterwards(trying('d'), 'c'), /is not the one that it was approved for.*ask again$/);
  });
});
