import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import type { Message } from '../../../src/model/message.js';
import type { PolicySet } from '../../../src/model/policy-set.js';
import type { Principal } from '../../../src/model/principal.js';
import type { Gate, GateTimeout, Transition } from '../../../src/engine/plan.js';
import { allApproved, dueEvent, gateViews, mayDecide, outOfReach } from '../../../src/engine/index.js';
import { mayDecideAt } from '../../../src/engine/gates/deciders.js';
import { gatesBefore, humanGate } from '../../../src/engine/gates/gates.js';
import { isGateApproved } from '../../../src/engine/gates/quorum.js';
import { momentOf } from '../../../src/engine/gates/standing.js';
import type { ApprovalState } from '../../../src/engine/state.js';
import { queuesIn } from '../../../src/schema/kit.js';
import { leastOf, runsOf } from '../../../testing/samples.js';
import { expr, gate, literal, onEnter, path, plan, rest, state, transition, type Fields } from '../build.js';
import { agent, principal } from '../people.js';
import {
  answerOf,
  approve,
  at,
  begin,
  hour,
  kit,
  message,
  operate,
  start,
  types,
  wakesAfter,
  type Walk,
} from '../walk.js';

// Several gates before one action: each keeps its own rules, and all must be approved (docs/adr/0012).

const holder = (id: string, ...roles: string[]): Principal => principal(id, 'human', { roles });
const [clerk, cfo, sre] = [holder('cleo', 'clerk'), holder('cyd', 'cfo'), holder('sam', 'sre')];
const dan = principal('dan', 'human', { permissions: ['approval.decide'] });
const timeout = (action: GateTimeout['action'], afterMs: number, ...to: string[]): GateTimeout => ({
  ...{ action, afterMs, to },
});

function waiting(gates: readonly Gate[], fields: Fields = {}, of: Partial<Walk> = {}): Walk {
  const go = transition('go', 'b', { executor: rest, tier: 'reversible', gates, ...fields });
  const walk = Object.assign(begin(plan([state('a', [go]), state('b')])), of);
  walk.submit(agent, 'go');
  return walk;
}

const only = (walk: Walk): ApprovalState => walk.run.approvals[0] ?? assert.fail('nothing is parked');

function decideAt(walk: Walk, who: Principal, ms: number, fields: Partial<Decide> = {}): string {
  const { id, action } = only(walk);
  const said = { kind: 'decide', approval: id, decision: 'approve', digest: action.digest } as const;
  const body = { ...said, reasonGiven: true, ...fields };
  const answer = answerOf(
    walk.send({ kind: 'message', time: at(ms), message: message(who, body, { time: at(ms) }) }),
  );
  return answer?.code ?? answer?.status ?? '';
}
type Decide = Extract<Message['body'], { kind: 'decide' }>;

const executes = (walk: Walk): boolean => walk.run.executing !== null;

describe('an approval at several gates', () => {
  it('is approved when each of them is, and one decision counts for all that this person may decide', () => {
    const walk = waiting([gate({ roles: ['clerk'] }), gate({ roles: ['cfo'] })]);
    assert.equal(decideAt(walk, clerk, 1), 'accepted');
    assert.deepEqual([only(walk).status, executes(walk)], ['open', false]);
    assert.equal(decideAt(walk, cfo, 2), 'accepted');
    assert.ok(executes(walk));
    const both = waiting([gate({ roles: ['clerk'] }), gate({ roles: ['cfo'] })]);
    decideAt(both, holder('bea', 'clerk', 'cfo'), 1);
    assert.ok(executes(both));
  });

  it('asks each gate for its own quorum: one who holds no role of it adds nothing there', () => {
    const two = { count: 2, perRole: [] };
    const walk = waiting([gate({ roles: ['clerk', 'cfo'], quorum: two }), gate({ roles: ['sre'] })]);
    for (const who of [clerk, sre]) decideAt(walk, who, 1);
    assert.ok(!executes(walk));
    decideAt(walk, cfo, 1);
    assert.ok(executes(walk));
  });

  it('is ended by one denial at any of them, also at one that is approved already', () => {
    const walk = waiting([gate({ roles: ['clerk'] }), gate({ roles: ['cfo'] })]);
    decideAt(walk, clerk, 1);
    decideAt(walk, holder('cora', 'clerk'), 2, { decision: 'deny' });
    assert.deepEqual([only(walk).status, executes(walk)], ['denied', false]);
  });

  it('asks for a reason, and for the human itself, only where a gate does that this person decides at', () => {
    const gates = [gate({ roles: ['clerk'] }), gate({ roles: ['cfo'], reason: 'required' as const })];
    const walk = waiting([...gates, gate({ roles: ['sre'], direct: 'required' as const })]);
    assert.equal(decideAt(walk, clerk, 1, { reasonGiven: false }), 'accepted');
    assert.equal(decideAt(walk, cfo, 1, { reasonGiven: false }), 'REASON_REQUIRED');
    const bare = { decision: 'deny', reasonGiven: false } as const;
    assert.equal(decideAt(waiting(gates), cfo, 1, bare), 'REASON_REQUIRED');
    assert.equal(decideAt(waiting(gates), holder('bea', 'clerk', 'cfo'), 1, bare), 'accepted');
    assert.equal(decideAt(walk, { ...cfo, actedBy: 'desk' }, 1), 'accepted');
    assert.equal(decideAt(walk, { ...sre, actedBy: 'desk' }, 1), 'NOT_AN_APPROVER');
    assert.equal(decideAt(walk, sre, 1), 'accepted');
    assert.ok(executes(walk));
  });

  it('keeps out whom each gate keeps out, and says of all of them what it takes', () => {
    const open = { requester: false, author: false, promoter: false };
    const walk = waiting([gate({ roles: ['clerk'], separation: open }), gate({ roles: ['cfo'] })], {}, {});
    const own = begin(
      plan([
        state('a', [transition('go', 'b', { gates: only(walk).gates.map((gate) => gate.rule) })]),
        state('b'),
      ]),
    );
    const both = holder('bea', 'clerk', 'cfo');
    own.submit(both, 'go');
    own.decide(both, only(own).id, 'approve');
    assert.deepEqual(
      only(own).decisions.map((decision) => decision.gates),
      [[0]],
    );
    const again = mayDecide(only(own), both, kit);
    assert.ok(again.status === 'no' && again.why === 'already_decided');
    const late = holder('zoe', 'cfo');
    own.submit(late, 'go');
    const other = mayDecide(only(own), sre, kit);
    assert.ok(
      other.status === 'no' && other.message === 'deciding this takes one of the roles `clerk`, `cfo`',
    );
    own.decide(cfo, only(own).id, 'approve');
    assert.equal(own.run.status, 'completed');
  });

  it('lets a person decide again at a gate that has come to take them in', () => {
    const walk = waiting([
      gate({ roles: ['cfo'] }),
      gate({ roles: ['sre'], timeout: timeout('escalate', hour, 'cfo') }),
      gate({ roles: ['clerk'], timeout: timeout('deny', 9 * hour) }),
    ]);
    assert.equal(decideAt(walk, cfo, 1), 'accepted');
    assert.equal(decideAt(walk, cfo, 2), 'ALREADY_DECIDED');
    walk.fire(only(walk).id);
    assert.equal(decideAt(walk, cfo, hour + 1), 'accepted');
    assert.equal(decideAt(walk, clerk, hour + 2), 'accepted');
    assert.ok(executes(walk));
  });

  it('binds the rules of every gate that applies', () => {
    const digest = (gates: readonly Gate[]): string => only(waiting(gates)).action.digest;
    const [rule, other] = [gate({ roles: ['clerk'] }), gate({ roles: ['cfo'] })];
    const digests = [[rule], [other], [rule, other], [rule, { ...other, reason: 'required' as const }]].map(
      digest,
    );
    assert.equal(new Set(digests).size, digests.length);
  });
});

describe('time at several gates', () => {
  const floorOf = gate({ roles: ['cfo'], reason: 'required' });

  it('that approves does so for its own gate alone', () => {
    const walk = waiting([gate({ roles: ['clerk'], timeout: timeout('approve', 1_000) }), floorOf]);
    walk.fire(only(walk).id);
    assert.deepEqual(types(walk.last), ['approval.decided']);
    assert.deepEqual([only(walk).status, executes(walk), walk.run.evidence], ['open', false, []]);
    assert.equal(wakesAfter(walk), hour);
    assert.equal(decideAt(walk, cfo, 2_000), 'accepted');
    assert.ok(executes(walk));
    assert.deepEqual(
      walk.run.evidence.map((item) => item.by),
      ['cyd'],
    );
  });

  it('that escalates adds people to its own gate alone', () => {
    const escalating = gate({ roles: ['clerk'], timeout: timeout('escalate', 1_000, 'sre') });
    const walk = waiting([escalating, floorOf], { tier: 'irreversible' });
    walk.fire(only(walk).id);
    assert.deepEqual([only(walk).status, only(walk).roles], ['escalated', ['clerk', 'sre', 'cfo']]);
    decideAt(walk, sre, 1_500);
    assert.ok(!executes(walk));
    decideAt(walk, cfo, 1_600);
    assert.ok(executes(walk));
  });

  it('ends it with the first that denies, though another would still escalate or approve', () => {
    const walk = waiting([
      gate({ timeout: timeout('deny', hour) }),
      gate({ roles: ['clerk'], timeout: timeout('escalate', 2 * hour, 'sre') }),
      gate({ roles: ['cfo'], timeout: timeout('approve', 3 * hour) }),
    ]);
    assert.deepEqual([wakesAfter(walk), only(walk).expiresAt - start], [hour, hour]);
    assert.equal(decideAt(walk, cfo, hour + 1), 'APPROVAL_EXPIRED');
    walk.fire(only(walk).id);
    assert.deepEqual([only(walk).status, types(walk.last)], ['expired', ['approval.expired']]);
  });

  it('is the default of the environment, which denies, for a gate that says none', () => {
    const walk = waiting([gate({ timeout: timeout('approve', 2 * hour) }), gate({ roles: ['cfo'] })]);
    assert.deepEqual([wakesAfter(walk), only(walk).gates[1]?.expiresAt], [hour, start + hour]);
    walk.fire(only(walk).id);
    assert.equal(only(walk).status, 'expired');
  });

  it('of a gate that is approved is over: the timer goes on to the next, and one that fired meanwhile does nothing', () => {
    const walk = waiting([
      gate({ roles: ['clerk'], timeout: timeout('deny', hour), reminders: [0.5] }),
      gate({ roles: ['cfo'], timeout: timeout('deny', 9 * hour), reminders: [0.5] }),
    ]);
    const { id, timer } = only(walk);
    assert.equal(timer, start + hour / 2);
    decideAt(walk, clerk, 10);
    assert.deepEqual([wakesAfter(walk), only(walk).expiresAt], [4.5 * hour, start + 9 * hour]);
    walk.send({ kind: 'deadline', time: at(hour / 2), approval: id });
    assert.deepEqual([types(walk.last), wakesAfter(walk), only(walk).status], [[], 4.5 * hour, 'open']);
    walk.fire(id);
    assert.deepEqual([types(walk.last), wakesAfter(walk)], [['approval.reminded'], 9 * hour]);
    walk.fire(id);
    assert.equal(only(walk).status, 'expired');
  });

  it('with which the approval ends counts to the end, also of a gate that is approved', () => {
    const until = path('arguments', 'until');
    assert.ok(until.kind === 'path');
    const go = transition('go', 'b', {
      gates: [
        gate({ roles: ['clerk'], expiresWith: [until] }),
        gate({ timeout: timeout('escalate', 2 * hour, 'sre') }),
      ],
    });
    const walk = begin(plan([state('a', [go]), state('b')]));
    walk.submit(agent, 'go', { until: at(90 * 60_000) });
    decideAt(walk, clerk, 1);
    assert.deepEqual([wakesAfter(walk), only(walk).expiresAt - start], [1.5 * hour, 1.5 * hour]);
    assert.equal(decideAt(walk, holder('fay', 'finance.controller'), 1.5 * hour + 1), 'APPROVAL_EXPIRED');
    walk.fire(only(walk).id);
    assert.equal(only(walk).status, 'expired');
  });

  it('is not over because somebody says so early', () => {
    const walk = waiting([gate({ timeout: timeout('approve', hour) })]);
    const { id } = only(walk);
    for (const ms of [0, hour - 1]) {
      walk.send({ kind: 'deadline', time: at(ms), approval: id });
      assert.deepEqual([only(walk).status, wakesAfter(walk)], ['open', hour]);
    }
    walk.send({ kind: 'deadline', time: at(hour), approval: id });
    assert.ok(executes(walk));
  });

  it('has approved where it approves at all that wait: no decision comes after it', () => {
    const gates = [timeout('approve', hour), timeout('approve', 2 * hour)].map((stage) =>
      gate({ timeout: stage }),
    );
    const walk = waiting(gates);
    const fay = holder('fay', 'finance.controller');
    assert.equal(decideAt(walk, fay, 2 * hour + 1, { decision: 'deny' }), 'APPROVAL_EXPIRED');
    walk.fire(only(walk).id);
    assert.ok(!executes(walk));
    walk.fire(only(walk).id);
    assert.ok(executes(walk));
    assert.equal(decideAt(waiting(gates), fay, hour + 1, { decision: 'deny' }), 'accepted');
  });

  it('reminds, escalates and approves in one go where several are due at once', () => {
    const walk = waiting([
      gate({ roles: ['clerk'], timeout: timeout('escalate', hour, 'sre'), reminders: [0.5] }),
      gate({ roles: ['cfo'], timeout: timeout('approve', hour) }),
      gate({ timeout: timeout('deny', 4 * hour), reminders: [0.25] }),
    ]);
    walk.send({ kind: 'deadline', time: at(hour), approval: only(walk).id });
    assert.deepEqual(types(walk.last), ['approval.escalated', 'approval.decided', 'approval.reminded']);
    assert.equal(wakesAfter(walk), 1.5 * hour);
  });
});

describe('gates that nobody wrote', () => {
  const irreversible: Gate = { ...gate({ roles: [] }), origin: { source: 'tier', path: null } };

  it('of what is irreversible is kept by any gate that keeps the requester out, and says that it asks all the same', () => {
    const walk = waiting([gate({ roles: ['cfo'] }), irreversible], { tier: 'irreversible' });
    assert.deepEqual([only(walk).gates.length, only(walk).asked.length], [1, 2]);
    decideAt(walk, cfo, 1);
    assert.ok(executes(walk));
  });

  it('of what is irreversible stands on its own beside gates at which the requester decides', () => {
    const separation = { requester: false, author: false, promoter: false };
    const walk = waiting([gate({ roles: ['cfo'], separation }), irreversible], { tier: 'irreversible' });
    decideAt(walk, cfo, 1);
    assert.ok(!executes(walk));
    decideAt(walk, dan, 1);
    assert.ok(executes(walk));
  });

  it('of a human executor is kept by a gate for the same people, and by no other', () => {
    const human = { kind: 'human', queue: null, roles: ['clerk'] } as const;
    const count = (own: Partial<Gate>): number =>
      only(waiting([gate(own)], { executor: human, tier: 'reversible' })).gates.length;
    assert.equal(count({ roles: ['clerk'], timeout: timeout('deny', 9 * hour) }), 1);
    assert.equal(count({ roles: ['clerk'], timeout: timeout('escalate', 9 * hour, 'sre') }), 2);
    assert.equal(count({ roles: ['clerk'], timeout: timeout('approve', hour) }), 2);
    assert.equal(count({ roles: ['cfo'] }), 2);
    assert.equal(count({ roles: ['clerk', 'cfo'] }), 2);
    assert.equal(count({ roles: ['clerk'], queue: 'controllers' }), 2);
    const separation = { requester: false, author: false, promoter: false };
    assert.equal(count({ roles: ['clerk'], separation }), 2);
    const byTime = { ...timeout('escalate', hour, 'sre'), then: timeout('approve', hour) };
    assert.equal(count({ roles: ['clerk'], timeout: byTime }), 2);
  });

  it('of a human executor keeps the default of what is irreversible', () => {
    const human = { kind: 'human', queue: null, roles: ['clerk'] } as const;
    const walk = waiting([irreversible], { executor: human, tier: 'irreversible' });
    assert.deepEqual(
      only(walk).gates.map(({ rule }) => rule),
      [humanGate(['clerk'], null)].map(({ origin: _, ...rule }) => rule),
    );
  });
});

describe('a queue', () => {
  const queues = (now: Readonly<Record<string, readonly string[]>>): Partial<Walk> => ({
    kit: { ...kit, queueRoles: (name) => now[name] ?? [] },
  });
  const desk = gate({ roles: [], queue: 'desk' });

  it('that was narrowed meanwhile no longer lets those decide who dropped out, nor counts what they have decided', () => {
    const walk = waiting(
      [gate({ ...desk, quorum: { count: 2, perRole: [] } })],
      {},
      queues({ desk: ['clerk', 'cfo'] }),
    );
    decideAt(walk, clerk, 1);
    Object.assign(walk, queues({ desk: ['cfo', 'sre'] }));
    assert.equal(decideAt(walk, holder('cora', 'clerk'), 2), 'NOT_AN_APPROVER');
    assert.equal(decideAt(walk, cfo, 2), 'accepted');
    assert.ok(!executes(walk));
    assert.deepEqual(only(walk).roles, ['cfo', 'sre']);
    assert.equal(decideAt(walk, sre, 3), 'accepted');
    assert.ok(executes(walk));
    assert.deepEqual(
      walk.run.evidence.map((item) => item.by),
      ['cyd', 'sam'],
    );
  });

  it('that vanished opens to nobody, and never to whoever holds approval.decide', () => {
    const walk = waiting([desk], {}, queues({ desk: ['clerk'] }));
    Object.assign(walk, queues({}));
    for (const who of [clerk, dan]) assert.equal(decideAt(walk, who, 1), 'NOT_AN_APPROVER');
    const said = mayDecide(only(walk), dan, walk.kit);
    assert.ok(said.status === 'no' && said.message.startsWith('nobody decides this'));
    const view = gateViews(only(walk), walk.kit)[0];
    assert.deepEqual([view?.roles, view?.byPermission], [[], false]);
  });

  it('that is not declared while others are opens to nobody, also for what opens only now', () => {
    const noPolicies: PolicySet = {
      ...{ v: 1, baseDirectory: '/', connections: [], environments: [], roles: [], queues: [] },
    };
    const others = queuesIn({ ...noPolicies, queues: [{ name: 'else', roles: ['clerk'] }] });
    const walk = waiting([desk], {}, { kit: { ...kit, ...others } });
    assert.deepEqual([only(walk).gates[0]?.roles, only(walk).gates[0]?.byPermission], [[], false]);
    for (const who of [clerk, dan]) assert.equal(decideAt(walk, who, 1), 'NOT_AN_APPROVER');
    for (const none of [queuesIn(noPolicies), queuesIn(null)]) {
      const label = waiting([desk], {}, { kit: { ...kit, ...none } });
      assert.equal(decideAt(label, dan, 1), 'accepted');
    }
  });

  it('that was declared once is no label, though no queue is declared any more', () => {
    const left = queuesIn({ queues: [], formerQueues: ['desk'] });
    const walk = waiting([desk], {}, { kit: { ...kit, ...left } });
    assert.deepEqual([only(walk).gates[0]?.roles, only(walk).gates[0]?.byPermission], [[], false]);
    for (const who of [clerk, dan]) assert.equal(decideAt(walk, who, 1), 'NOT_AN_APPROVER');
    const other = waiting([gate({ ...desk, queue: 'hall' })], {}, { kit: { ...kit, ...left } });
    assert.equal(decideAt(other, dan, 1), 'accepted');
  });

  it('that is a label is decided by permission, until it names roles', () => {
    const walk = waiting([gate({ ...desk, quorum: { count: 2, perRole: [] } })], {}, queues({}));
    assert.equal(decideAt(walk, clerk, 1), 'NOT_AN_APPROVER');
    assert.equal(decideAt(walk, dan, 1), 'accepted');
    Object.assign(walk, queues({ desk: ['clerk'] }));
    assert.equal(decideAt(walk, { ...dan, id: 'eve' }, 2), 'NOT_AN_APPROVER');
    for (const who of [clerk, holder('cora', 'clerk')]) assert.equal(decideAt(walk, who, 3), 'accepted');
    assert.ok(executes(walk));
  });

  /** Two people of `desk` decide, each while the other has left the queue; then it has both again, and nobody is left to decide. */
  function widenedAgain(fields: Partial<Gate> = {}): Walk {
    const walk = waiting([gate({ ...desk, quorum: { count: 2, perRole: [] }, ...fields })], {}, all);
    decideAt(walk, clerk, 1);
    Object.assign(walk, queues({ desk: ['cfo', 'sre'] }));
    decideAt(walk, cfo, 2);
    assert.equal(only(walk).status, 'open');
    return Object.assign(walk, all);
  }
  const all = queues({ desk: ['clerk', 'cfo', 'sre'] });

  it('that was narrowed and widened again approves at the approval’s moment, not denies', () => {
    const walk = widenedAgain();
    const { id, timer } = only(walk);
    walk.send({ kind: 'deadline', time: new Date(timer).toISOString(), approval: id });
    assert.deepEqual([only(walk).status, executes(walk)], ['approved', true]);
  });

  it('that was narrowed and widened again takes the next decision, whatever time would have done', () => {
    for (const action of ['deny', 'approve'] as const) {
      const walk = widenedAgain({ timeout: timeout(action, hour) });
      assert.equal(decideAt(walk, sre, 3), 'accepted');
      assert.deepEqual([only(walk).status, executes(walk)], ['approved', true]);
    }
  });

  it('that settled what the timer was for moves it, so that nothing is due again', () => {
    const walk = waiting(
      [
        gate({ ...desk, quorum: { count: 2, perRole: [] }, timeout: timeout('deny', hour) }),
        gate({ roles: ['sox'], timeout: timeout('deny', 5 * hour) }),
      ],
      {},
      all,
    );
    decideAt(walk, clerk, 1);
    Object.assign(walk, queues({ desk: ['cfo', 'sre'] }));
    decideAt(walk, cfo, 2);
    Object.assign(walk, queues({ desk: ['clerk', 'cfo'] }));
    assert.equal(only(walk).timer, start + hour);
    walk.send({ kind: 'deadline', time: at(hour), approval: only(walk).id });
    const { timer, expiresAt, roles, status } = only(walk);
    assert.deepEqual([timer, expiresAt, status], [start + 5 * hour, start + 5 * hour, 'open']);
    assert.deepEqual(roles, ['clerk', 'cfo', 'sox']);
    assert.equal(wakesAfter(walk), 5 * hour);
    assert.equal(dueEvent(walk.run, at(hour)), null);
  });

  it('that was narrowed between the decision and its execution stops it', () => {
    const other = transition('other', 'a', { executor: rest });
    const go = transition('go', 'b', { executor: rest, gates: [desk] });
    const walk = Object.assign(
      begin(plan([state('a', [go, other]), state('b')])),
      queues({ desk: ['clerk'] }),
    );
    walk.submit(agent, 'go');
    walk.submit(agent, 'other');
    decideAt(walk, clerk, 1);
    assert.equal(only(walk).status, 'approved');
    Object.assign(walk, queues({ desk: ['cfo'] }));
    walk.outcome();
    assert.ok(!executes(walk));
    assert.match(walk.last.actions.at(-1)?.error?.message ?? '', /no longer decides where it waited/);
  });
});

describe('a gate that was approved by others than its rule names', () => {
  /** Approved while another effect is under way; before that ends, a new floor comes into force. */
  function meanwhile(own: Gate, floor: Gate, approve: (walk: Walk) => void): string | undefined {
    const other = transition('other', 'a', { executor: rest });
    const go = transition('go', 'b', { executor: rest, tier: 'reversible', gates: [own] });
    const walk = begin(plan([state('a', [go, other]), state('b')]));
    walk.submit(agent, 'go');
    walk.submit(agent, 'other');
    approve(walk);
    assert.equal(only(walk).status, 'approved');
    walk.kit = { ...kit, floors: [{ tiers: ['reversible'], gate: floor }] };
    walk.outcome();
    return executes(walk) ? undefined : walk.last.actions.at(-1)?.error?.code;
  }
  const fire = (walk: Walk): void => void walk.fire(only(walk).id);
  const because = ['environment'];

  it('by time, or by whom an escalation added, answers for no floor that came since, but for its own rule', () => {
    const byTime = gate({ roles: ['clerk'], timeout: timeout('approve', hour) });
    const added = gate({ roles: ['clerk'], timeout: timeout('escalate', hour, 'sre') });
    const bySre = (walk: Walk): void => {
      fire(walk);
      decideAt(walk, sre, hour + 1);
    };
    for (const [own, approve] of [
      [byTime, fire],
      [added, bySre],
    ] as const) {
      assert.equal(meanwhile(own, gate({ roles: ['clerk'], because }), approve), 'DIGEST_MISMATCH');
      assert.equal(meanwhile(own, own, approve), undefined);
    }
  });

  it('answers for it where those decided whom it names', () => {
    const own = gate({ roles: ['clerk'], timeout: timeout('escalate', hour, 'sre') });
    const floor = gate({ roles: ['clerk'], because });
    assert.equal(
      meanwhile(own, floor, (walk) => void decideAt(walk, clerk, 1)),
      undefined,
    );
  });
});

describe('what an approver is told of gates', () => {
  const gates = [
    gate({
      roles: ['clerk', 'cfo'],
      quorum: { count: 3, perRole: [{ role: 'cfo', count: 1 }] },
      timeout: timeout('escalate', hour, 'sre'),
    }),
    gate({ roles: [], reason: 'required', because: ['environment prod'] }),
  ];

  it('is of each whom it still waits for, and what its time ends with', () => {
    const walk = waiting(gates);
    decideAt(walk, clerk, 1);
    decideAt(walk, { ...dan, roles: ['clerk'] }, 1);
    const [first, second] = gateViews(only(walk), kit);
    assert.deepEqual(
      [first?.quorum, first?.missing, first?.onTimeout, first?.reasonRequired],
      [
        { count: 3, approved: 2, perRole: [{ role: 'cfo', count: 1, approved: 0 }] },
        [{ roles: ['cfo'], count: 1 }],
        'escalate',
        false,
      ],
    );
    assert.deepEqual(
      [second?.rule, second?.roles, second?.byPermission, second?.missing, second?.onTimeout],
      ['environment prod', [], true, [], 'deny'],
    );
    const fresh = gateViews(only(waiting(gates)), kit);
    assert.deepEqual(
      fresh.map((view) => view.missing),
      [
        [
          { roles: ['cfo'], count: 1 },
          { roles: ['clerk', 'cfo'], count: 2 },
        ],
        [{ roles: [], count: 1 }],
      ],
    );
  });

  it('is of roles with shares of their own only what those lack', () => {
    const walk = waiting(gates);
    decideAt(walk, cfo, 1);
    assert.deepEqual(gateViews(only(walk), kit)[0]?.missing, [{ roles: ['clerk', 'cfo'], count: 2 }]);
  });

  it('is nothing of a gate that is not there: nobody decides at it, and it is never approved', () => {
    const approval = only(waiting(gates));
    assert.equal(mayDecideAt(approval, 9, clerk, kit), false);
    assert.equal(isGateApproved(approval, 9, kit), false);
    assert.equal(momentOf(approval, 9, kit), Infinity);
  });

  it('is which of them all known people together could not approve', () => {
    const approval = only(waiting(gates));
    const lost = (...people: readonly Principal[]): readonly number[] => outOfReach(approval, people, kit);
    assert.deepEqual(lost(), [0, 1]);
    assert.deepEqual(lost(clerk, cfo, dan), [0]);
    assert.deepEqual(lost(clerk, holder('cora', 'clerk'), holder('carl', 'clerk'), dan), [0]);
    assert.deepEqual(lost(clerk, holder('cora', 'clerk'), cfo, agent), [1]);
    assert.deepEqual(lost(clerk, holder('cora', 'clerk'), cfo, dan), []);
    const decided = waiting(gates);
    decideAt(decided, clerk, 1);
    assert.deepEqual(outOfReach(only(decided), [clerk, holder('cora', 'clerk'), cfo, dan], kit), []);
  });

  it('counts nobody whom a gate keeps out', () => {
    const separation = { requester: true, author: true, promoter: false };
    const approval = only(
      waiting([gate({ roles: ['cfo'], separation })], {}, { kit: { ...kit, author: 'cyd' } }),
    );
    assert.deepEqual(outOfReach(approval, [cfo], kit), [0]);
    assert.deepEqual(outOfReach(approval, [cfo, holder('carl', 'cfo')], kit), []);
  });
});

describe('who has a part in a run', () => {
  const apart = { requester: true, author: false, promoter: false, approvers: true };
  const open = { requester: false, author: false, promoter: false };

  it('counts as one who has approved also with an approval of their own request, and with one that came to nothing', () => {
    const own = gate({ roles: ['clerk'], separation: open });
    const of = plan([
      state('a', [
        transition('own', 'a', { gates: [own] }),
        transition('half', 'a', { gates: [gate({ roles: ['cfo'], quorum: { count: 2, perRole: [] } })] }),
        transition('go', 'b', { gates: [gate({ roles: ['clerk', 'cfo', 'sre'], separation: apart })] }),
      ]),
      state('b'),
    ]);
    const walk = begin(of);
    walk.submit(clerk, 'own');
    approve(walk, clerk);
    walk.submit(agent, 'half');
    const half = walk.run.approvals.at(-1)?.id ?? '';
    walk.decide(cfo, half, 'approve');
    walk.decide(holder('carl', 'cfo'), half, 'deny');
    walk.submit(agent, 'go');
    const last = walk.run.approvals.at(-1) ?? assert.fail();
    const why = [clerk, cfo, sre].map((who) => {
      const may = mayDecide(last, who, kit);
      return may.status === 'no' ? may.why : 'may';
    });
    assert.deepEqual(why, ['approver', 'approver', 'may']);
    assert.deepEqual(
      walk.run.evidence.map((item) => item.by),
      [null],
    );
  });

  for (const [how, end] of [
    ['denied', (walk: Walk) => void walk.decide(holder('carl', 'cfo'), only(walk).id, 'deny')],
    ['expired', (walk: Walk) => void walk.fire(only(walk).id)],
    ['revoked', (walk: Walk) => void walk.submit(agent, 'leave')],
  ] as const)
    it(`leaves no evidence of an approval that is ${how} in the end`, () => {
      const two = gate({ roles: ['cfo'], quorum: { count: 2, perRole: [] } });
      const go = transition('go', 'b', { gates: [two] });
      const walk = begin(
        plan([state('a', [go, transition('leave', 'b')]), state('b', [transition('x', 'b')])]),
      );
      walk.submit(agent, 'go');
      walk.decide(cfo, only(walk).id, 'approve');
      assert.deepEqual(walk.run.evidence, []);
      end(walk);
      assert.deepEqual([only(walk).status, walk.run.evidence], [how, []]);
    });

  it('leaves evidence for each who approved, when the approval is approved as a whole', () => {
    const walk = waiting([gate({ roles: ['clerk'] }), gate({ roles: ['cfo'] })]);
    decideAt(walk, clerk, 1);
    decideAt(walk, cfo, 2);
    assert.deepEqual(
      walk.run.evidence.map(({ kind, by }) => [kind, by]),
      [
        ['human_request', 'cleo'],
        ['human_request', 'cyd'],
      ],
    );
    assert.equal(types(walk.last).filter((name) => name === 'evidence.recorded').length, 2);
  });
});

describe('what the runtime asks for by itself', () => {
  const asks = (name: string, target: string, fields: Fields = {}): Transition =>
    transition(name, target, { actor: 'deterministic', gates: [gate({ roles: ['clerk'] })], ...fields });
  const refusal = (walk: Walk, who: Principal): string => {
    const said = mayDecide(walk.run.approvals.at(-1) ?? assert.fail(), who, kit);
    return said.status === 'no' ? said.why : 'may';
  };
  const other = holder('cora', 'clerk');

  it('has as its requester who started the run', () => {
    const walk = begin(plan([state('a', [asks('go', 'b')]), state('b')]), {}, clerk);
    assert.deepEqual([refusal(walk, clerk), refusal(walk, other)], ['requester', 'may']);
    assert.deepEqual(only(walk).requesters, ['cleo']);
    assert.deepEqual(only(walk).action.requester, { id: 'cleo', kind: 'human', roles: [], permissions: [] });
  });

  it('has as its requester whose message led there, over the steps between', () => {
    const of = plan([
      state('a', [transition('send', 'b', { executor: rest })]),
      state('b', [transition('on', 'c', { actor: 'deterministic', executor: rest })]),
      state('c', [asks('go', 'd')]),
      state('d'),
    ]);
    const walk = begin(of, {}, other);
    walk.submit(clerk, 'send');
    walk.outcome();
    assert.equal(walk.run.executing?.action.requester?.id, 'cleo');
    walk.outcome();
    assert.deepEqual([refusal(walk, clerk), refusal(walk, other)], ['requester', 'may']);
  });

  it('has as its requester who asked for what was approved, and not who approved it', () => {
    const of = plan([
      state('a', [transition('send', 'b', { gates: [gate({ roles: ['clerk'] })] })]),
      state('b', [asks('go', 'c')]),
      state('c'),
    ]);
    const walk = begin(of, {}, other);
    walk.submit(clerk, 'send');
    walk.decide(other, only(walk).id, 'approve');
    assert.deepEqual([refusal(walk, clerk), refusal(walk, other)], ['requester', 'may']);
  });

  it('is decided neither by who asked for what was denied nor by who denied it, over the steps between', () => {
    const third = holder('cleve', 'clerk');
    const of = plan([
      state('a', [transition('send', 'c', { onDeny: 'b', gates: [gate({ roles: ['clerk'] })] })]),
      state('b', [transition('on', 'c', { actor: 'deterministic', executor: rest })]),
      state('c', [asks('go', 'd')]),
      state('d', [asks('end', 'e')]),
      state('e'),
    ]);
    const walk = begin(of, {}, third);
    walk.submit(clerk, 'send');
    walk.decide(other, only(walk).id, 'deny');
    walk.outcome();
    assert.deepEqual([refusal(walk, clerk), refusal(walk, other)], ['requester', 'requester']);
    approve(walk, third);
    assert.equal(walk.run.state, 'd');
    assert.deepEqual([refusal(walk, clerk), refusal(walk, other)], ['requester', 'requester']);
    assert.equal(refusal(walk, third), 'may');
  });

  it('is not decided by who had the run go on to it, until somebody else has led it on', () => {
    const of = plan([
      state('a', [transition('send', 'b')]),
      state('b', [asks('go', 'c')], onEnter()),
      state('c', [transition('round', 'd')]),
      state('d', [asks('end', 'e')]),
      state('e'),
    ]);
    const walk = begin(of, {}, clerk);
    walk.submit(clerk, 'send');
    walk.outcome({ status: 'failed', errorClass: 'permanent', message: 'no' } as never);
    const operator = principal('cora', 'human', { roles: ['clerk'], permissions: ['run.operate'] });
    operate(walk, 'retry', { by: operator });
    walk.outcome();
    assert.deepEqual([refusal(walk, clerk), refusal(walk, operator)], ['requester', 'requester']);
    approve(walk, holder('cleve', 'clerk'));
    walk.submit(clerk, 'round');
    assert.deepEqual([refusal(walk, clerk), refusal(walk, operator)], ['requester', 'may']);
  });

  it('has as its requester, after the time of the run is up, who started it', () => {
    const of = plan(
      [
        state('a', [transition('next', 'b')]),
        state('b', [transition('stay', 'b')]),
        state('late', [asks('go', 'c')]),
        state('c'),
      ],
      { timeoutMs: hour, onTimeout: { target: 'late' } },
    );
    const walk = begin(of, {}, clerk);
    walk.submit(other, 'next');
    walk.send({ kind: 'timeout', time: at(hour) });
    assert.deepEqual([refusal(walk, clerk), refusal(walk, other)], ['requester', 'may']);
  });

  it('has no requester where the runtime itself started the run', () => {
    const of = plan(
      [
        state('a', [transition('next', 'a')]),
        state('late', [transition('on', 'c', { actor: 'deterministic', executor: rest })]),
        state('c'),
      ],
      { timeoutMs: hour, onTimeout: { target: 'late' } },
    );
    const walk = begin(of, {}, clerk);
    walk.run = { ...walk.run, startedBy: { id: 'countersign', kind: 'runtime' } };
    walk.send({ kind: 'timeout', time: at(hour) });
    assert.equal(walk.run.executing?.action.requester, null);
    walk.outcome();
    assert.equal(walk.run.status, 'completed');
  });

  it('is judged and recorded as the runtime, whoever led there, and stays an operator matter when it fails', () => {
    const guards = [{ kind: 'not', guard: { kind: 'role', role: 'clerk' } }] as const;
    const on = expr(path('context', 'x'), '==', literal(null));
    const lone = begin(plan([state('a', [asks('go', 'b', { guards })]), state('b')]), {}, clerk);
    lone.decide(other, only(lone).id, 'approve');
    assert.equal(lone.run.status, 'completed');
    const branches = [
      { when: { kind: 'not', guard: { kind: 'permission', permission: 'p' } }, target: 'b' },
    ] as const;
    const led = principal('leo', 'human', { permissions: ['p'] });
    const branched = plan([
      state('a', [asks('go', 'c', { branches, gates: [gate({ on, roles: ['clerk'] })] })]),
      state('b'),
      state('c'),
    ]);
    const branching = begin(branched, {}, led);
    branching.decide(other, only(branching).id, 'approve');
    assert.equal(branching.run.state, 'b');
    const walk = begin(
      plan([state('a', [asks('go', 'b', { gates: [], executor: rest })]), state('b')]),
      {},
      clerk,
    );
    walk.outcome({ status: 'failed', errorClass: 'permanent', message: 'no' } as never);
    assert.deepEqual([walk.run.status, walk.run.stuckOn?.kind], ['stuck', 'chain']);
    const moved = begin(plan([state('a', [asks('go', 'b', { gates: [] })]), state('b')]), {}, clerk);
    const facts = moved.last.trace.filter((fact) => fact.type === 'run.transitioned');
    assert.deepEqual(
      facts.map((fact) => fact.actor.kind),
      ['runtime'],
    );
  });

  it('has nobody as its requester where the runtime itself started the run', () => {
    const of = plan([state('a', [transition('next', 'a')]), state('late', [asks('go', 'b')]), state('b')], {
      timeoutMs: 1,
      onTimeout: { target: 'late' },
    });
    const walk = begin(of, {}, clerk);
    walk.run = { ...walk.run, startedBy: { id: 'countersign', kind: 'runtime' } };
    walk.send({ kind: 'timeout', time: at(1) });
    assert.deepEqual([only(walk).requesters, only(walk).action.requester], [[], null]);
  });
});

// --- any gates, any events -----------------------------------------------------------------------

const roles = ['clerk', 'cfo', 'sre'];
const anyTimeout: fc.Arbitrary<GateTimeout | null> = fc.option(
  fc
    .record({
      action: fc.constantFrom<GateTimeout['action']>('deny', 'escalate', 'approve'),
      afterMs: fc.integer({ min: 1, max: 40 }),
      to: fc.subarray(roles, { minLength: 1 }),
      then: fc.option(fc.constantFrom<GateTimeout['action']>('deny', 'approve')),
    })
    .map(({ action, afterMs, to, then }) =>
      action === 'escalate'
        ? { action, afterMs, to, ...(then === null ? {} : { then: timeout(then, afterMs) }) }
        : timeout(action, afterMs),
    ),
);
const anyGate: fc.Arbitrary<Gate> = fc
  .record({
    roles: fc.oneof(fc.subarray(roles, { minLength: 1 }), fc.constant<string[]>([])),
    on: fc.constantFrom(null, null, expr(path('arguments', 'n'), '>', literal(1))),
    count: fc.integer({ min: 1, max: 2 }),
    slot: fc.boolean(),
    requester: fc.boolean(),
    approvers: fc.boolean(),
    reason: fc.constantFrom<Gate['reason']>('required', 'optional'),
    direct: fc.boolean(),
    timeout: anyTimeout,
    reminders: fc.boolean(),
  })
  .map(({ count, slot, requester, approvers, direct, reminders, ...own }) =>
    gate({
      ...own,
      quorum: {
        count,
        perRole: slot && own.roles[0] !== undefined ? [{ role: own.roles[0], count: 1 }] : [],
      },
      separation: { requester, author: false, promoter: false, ...(approvers ? { approvers } : {}) },
      ...(direct ? { direct: 'required' as const } : {}),
      ...(reminders ? { reminders: [0.5] } : {}),
    }),
  );
const anyDecision = fc.record({
  who: fc.constantFrom('p1', 'p2', 'p3', 'asker'),
  roles: fc.subarray(roles),
  permitted: fc.boolean(),
  kind: fc.constantFrom<Principal['kind']>('human', 'human', 'human', 'agent'),
  approve: fc.nat(9).map((number) => number > 0),
  reasonGiven: fc.boolean(),
  acted: fc.nat(3).map((number) => number === 0),
  after: fc.integer({ min: 0, max: 12 }),
});
type AnyDecision = typeof anyDecision extends fc.Arbitrary<infer T> ? T : never;

interface Story {
  readonly decisions: readonly AnyDecision[];
  readonly tier: Transition['tier'];
  readonly n: number;
  /** Indexes of the decisions that are made; absent: all. The clock goes on for the others too. */
  readonly made?: ReadonlySet<number>;
}

interface Told {
  /** The action came to be executed. */
  readonly ran: boolean;
  /** Indexes of the decisions that were accepted. */
  readonly accepted: ReadonlySet<number>;
}

/** Plays the same people and the same clock before these gates. */
function tell(gates: readonly Gate[], { decisions, tier, n, made }: Story): Told {
  const accepted = new Set<number>();
  const go = transition('go', 'b', { executor: rest, tier, gates });
  const walk = begin(plan([state('a', [go]), state('b')]));
  walk.submit(principal('asker', 'human', { roles }), 'go', { n });
  let now = 0;
  const passes = (to: number): void => {
    now = to;
    for (let left = 40; left > 0; left -= 1) {
      const approval = walk.run.approvals[0];
      if (approval === undefined || !['open', 'escalated'].includes(approval.status)) return;
      if (approval.timer > start + now) return;
      walk.fire(approval.id);
    }
  };
  for (const [index, decision] of decisions.entries()) {
    const { who, roles: held, permitted, kind, approve, reasonGiven, acted, after } = decision;
    passes(now + after);
    if (walk.run.approvals.length === 0) break;
    if (made?.has(index) === false) continue;
    const by = principal(who, kind, {
      roles: held,
      permissions: permitted ? ['approval.decide'] : [],
      ...(acted ? { actedBy: 'desk' } : {}),
    });
    const word = decideAt(walk, by, now, { decision: approve ? 'approve' : 'deny', reasonGiven });
    if (word === 'accepted') accepted.add(index);
  }
  passes(now + 3 * hour);
  const ran = walk.history.some((result) => result.effects.some((effect) => effect.kind === 'execute'));
  const approval = walk.run.approvals[0];
  if (ran && approval !== undefined) assert.ok(allApproved(approval, kit));
  return { ran, accepted };
}

/**
 * The same accepted decisions at the same times let the action through these gates alone. A decision that was refused does not
 * count: a person whom another gate asked for a reason has not used up a vote here.
 */
function letsToo(gates: readonly Gate[], story: Story, { accepted }: Told): boolean {
  return tell(gates, { ...story, made: accepted }).ran;
}

describe('whatever the gates and whatever happens', () => {
  const tiers = fc.constantFrom<Transition['tier']>('reversible', 'reversible', 'irreversible', null);
  const decisions = fc.array(anyDecision, { minLength: 2, maxLength: 8, size: 'max' });

  it('what is let through by two gates is let through by each of them', () => {
    let reached = 0;
    fc.assert(
      fc.property(anyGate, anyGate, decisions, tiers, fc.constantFrom(1, 2), (a, b, all, tier, n) => {
        const story = { decisions: all, tier, n };
        const told = tell([a, b], story);
        if (!told.ran) return;
        reached += 1;
        assert.ok(letsToo([a], story, told), 'the first alone would have waited');
        assert.ok(letsToo([b], story, told), 'the second alone would have waited');
      }),
      { numRuns: runsOf(2_500) },
    );
    assert.ok(reached > leastOf(100), `only ${reached} of the stories came to an execution`);
  });

  it('what is irreversible takes somebody else than who asked, and all that is written, also where its default gate stands back', () => {
    let reached = 0;
    fc.assert(
      fc.property(fc.array(anyGate, { maxLength: 2 }), decisions, (own, all) => {
        const story = { decisions: all, tier: 'irreversible', n: 2 } as const;
        const told = tell(gatesBefore(own, 'irreversible'), story);
        if (!told.ran) return;
        reached += 1;
        assert.ok(
          [...told.accepted].some((index) => all[index]?.approve === true && all[index].who !== 'asker'),
        );
        if (own.some(({ on }) => on === null)) assert.ok(letsToo(own, story, told));
      }),
      { numRuns: runsOf(1_200) },
    );
    assert.ok(reached > leastOf(50), `only ${reached} of the stories came to an execution`);
  });

  it('a gate more, of a floor too, never lets anything through that would have waited without it', () => {
    fc.assert(
      fc.property(
        fc.array(anyGate, { minLength: 1, maxLength: 2 }),
        anyGate,
        decisions,
        tiers,
        (own, more, all, tier) => {
          const story = { decisions: all, tier, n: 2 };
          for (const gates of [
            [...own, more],
            [more, ...own],
          ]) {
            const told = tell(gates, story);
            if (told.ran) assert.ok(letsToo(own, story, told));
          }
        },
      ),
      { numRuns: runsOf(1_200) },
    );
  });
});
