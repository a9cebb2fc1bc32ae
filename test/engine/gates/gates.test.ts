import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { Message } from '../../../src/model/message.js';
import type {
  Executor,
  Floor,
  Gate,
  GateTimeout,
  OnEnter,
  Plan,
  Template,
} from '../../../src/engine/plan.js';
import { noTimeMs } from '../../../src/engine/gates/deadlines.js';
import { mayDecide } from '../../../src/engine/index.js';
import { defaultReliability } from '../../../src/engine/plan.js';
import { missingUnderFloors, stricterThan } from '../../../src/engine/gates/covers.js';
import { isGated } from '../../../src/engine/gates/gates.js';
import { blockedBy } from '../../../src/engine/links.js';
import { isGateApproved, shareAt } from '../../../src/engine/gates/quorum.js';
import type { ApprovalState, GateState } from '../../../src/engine/state.js';
import { expr, gate, literal, onEnter, path, plan, rest, state, transition, type Fields } from '../build.js';
import { agent, ann, ben, principal } from '../people.js';
import {
  approve,
  at,
  begin,
  hour,
  kit,
  message,
  start,
  time,
  types,
  wakesAfter,
  type Walk,
} from '../walk.js';

// Gates of several places, who decides, and time: docs/spec/semantics.md §6 and docs/adr/0008.

function facing(fields: Fields): Walk {
  return begin(plan([state('a', [transition('go', 'b', { executor: rest, ...fields })]), state('b')]));
}

function parked(fields: Partial<Gate>, more: Fields = {}): { walk: Walk; approval: () => ApprovalState } {
  const walk = facing({ gate: gate(fields), ...more });
  walk.submit(agent, 'go');
  return { walk, approval: () => walk.run.approvals[0] ?? assert.fail('nothing is parked') };
}

const late = (walk: Walk, ms: number): Walk => {
  const { id } = walk.run.approvals[0] ?? assert.fail();
  walk.send({ kind: 'deadline', time: at(ms), approval: id });
  return walk;
};
const floor = (fields: Partial<Gate>, tiers: Floor['tiers'] = ['none']): Floor => ({
  tiers,
  gate: gate({
    origin: { source: 'environment', path: null },
    because: ['environment prod: none'],
    ...fields,
  }),
});

describe('a gate of several places', () => {
  const small = gate({ roles: ['clerk'], because: ['transition go: always'] });
  const large = gate({
    on: expr(path('arguments', 'amount'), '>', literal(50)),
    roles: ['cfo'],
    quorum: { count: 2, perRole: [] },
    because: ['charter: amount > 50'],
    origin: { source: 'charter', path: ['charter', 'approval_gate'] },
  });

  it('asks for what applies, each place on its own', () => {
    const walk = facing({ gates: [small, large], inputSchema: { type: 'object' } });
    walk.submit(agent, 'go', { amount: 10 });
    walk.submit(agent, 'go', { amount: 60 });
    const [little, much] = walk.run.approvals;
    const asked = (of: ApprovalState | undefined): unknown =>
      of?.gates.map(({ roles, rule }) => [roles, rule.quorum.count]);
    assert.deepEqual(asked(little), [[['clerk'], 1]]);
    assert.deepEqual(asked(much), [
      [['clerk'], 1],
      [['cfo'], 2],
    ]);
    assert.deepEqual(much?.roles, ['clerk', 'cfo']);
  });

  it('says why each rule asks, and what it read', () => {
    const walk = facing({ gates: [small, large] });
    walk.submit(agent, 'go', { amount: 60 });
    assert.deepEqual(walk.run.approvals[0]?.asked, [
      { source: 'transition', path: null, rule: 'transition go: always', reason: null },
      {
        source: 'charter',
        path: ['charter', 'approval_gate'],
        rule: 'charter: amount > 50',
        reason: '$.arguments.amount 60 > 50',
      },
    ]);
  });

  it('binds the rules, and not where they are written', () => {
    const digestOf = (origin: Gate['origin']): string => {
      const { approval } = parked(origin === undefined ? {} : { origin });
      return approval().action.digest;
    };
    assert.equal(digestOf(undefined), digestOf({ source: 'transition', path: ['states', 'a'] }));
  });

  it("has the environment's floor under every effect, whatever its author wrote", () => {
    const walk = facing({ gate: null });
    walk.kit = { ...walk.kit, floors: [floor({ roles: ['sre'] })] };
    walk.submit(agent, 'go');
    assert.equal(walk.run.executing, null);
    assert.deepEqual(walk.run.approvals[0]?.roles, ['sre']);
    assert.equal(walk.run.approvals[0]?.asked?.[0]?.source, 'environment');
  });

  it('asks of a step what it may call in place of its own executor', () => {
    const reliability = { ...defaultReliability, fallback: [rest] };
    const [noop, human]: Executor[] = [
      { kind: 'noop', output: null },
      { kind: 'human', queue: null, roles: ['sre'] },
    ];
    const fields: Fields = { gate: null, executor: noop ?? null, reliability };
    const walk = facing(fields);
    walk.kit = { ...walk.kit, floors: [floor({ roles: ['sre'] })] };
    walk.submit(agent, 'go');
    assert.equal(walk.run.executing, null);
    assert.equal(walk.run.approvals[0]?.asked?.[0]?.source, 'environment');
    const charter = { read: [], execute: [], deny: [], unmapped: [] };
    const inCharter = (more: Fields): readonly unknown[] => {
      const step = transition('t', 'a', { ...fields, ...more });
      const at = plan([state('a')], { charter });
      return [
        isGated(charter, step),
        blockedBy(at, step, { floors: [] }),
        blockedBy(at, step, { floors: null }),
      ];
    };
    assert.deepEqual(inCharter({}), [true, 'unmapped', 'environment']);
    assert.deepEqual(inCharter({ tier: 'read_only' }), [false, null, 'environment']);
    assert.deepEqual(inCharter({ reliability: defaultReliability }), [false, null, null]);
    assert.deepEqual(
      inCharter({ executor: human ?? null }),
      [false, null, null],
      'nothing is called after it',
    );
  });

  it('says of what was granted whether its floors ask for more by now', () => {
    const step = { executor: rest, reliability: defaultReliability, tier: null };
    const missing = (floors: readonly Floor[], roles?: string[]): string | null => {
      if (roles === undefined) return missingUnderFloors(step, undefined, { ...kit, floors });
      const { walk, approval } = parked({ roles });
      walk.decide(principal('dee', 'human', { roles }), approval().id, 'approve');
      return missingUnderFloors(step, approval(), { ...kit, floors });
    };
    assert.equal(missing([]), null);
    assert.equal(missing([floor({}, ['irreversible'])]), null);
    assert.match(missing([floor({})]) ?? '', /`environment prod: none` asks for an approval .*: ask again/u);
    assert.equal(missing([floor({ roles: ['cfo'] })], ['cfo']), null);
    assert.match(missing([floor({ roles: ['cfo'] })], ['clerk']) ?? '', /more by now .*: roles; ask again/u);
  });

  it('has no floor under what it is not for', () => {
    for (const fields of [
      { tier: 'read_only' as const },
      { executor: null },
      { executor: { kind: 'noop' as const, output: {} } },
    ]) {
      const walk = facing({ gate: null, ...fields });
      walk.kit = { ...walk.kit, floors: [floor({})] };
      walk.submit(agent, 'go');
      assert.deepEqual(walk.run.approvals, []);
    }
  });

  it('does not let an effect through on the way into a state', () => {
    const of = plan([
      state('a', [transition('go', 'b')]),
      state('b', [transition('on', 'c')], onEnter()),
      state('c'),
    ]);
    const walk = begin(of);
    walk.kit = { ...walk.kit, floors: [floor({})] };
    walk.submit(agent, 'go');
    assert.deepEqual(
      [walk.run.status, walk.run.problem?.code, walk.run.executing],
      ['stuck', 'ON_ENTER_FAILED', null],
    );
    assert.deepEqual(
      walk.last.effects.filter((effect) => effect.kind === 'execute'),
      [],
    );
    const reading = begin(
      plan([{ ...(of.states[1] ?? assert.fail()), ...onEnter({ tier: 'read_only' }) }, state('c')]),
    );
    assert.equal(reading.run.executing?.at, 'onEnter');
  });
});

describe('what the runtime does by itself is asked what an action is asked', () => {
  const entered = (
    fields: Partial<OnEnter>,
    charter: object | null = {},
    gates: readonly Gate[] = [],
    of: Partial<Plan> = {},
  ): Walk => {
    const own = charter === null ? null : { read: [], execute: [], deny: [], unmapped: [], ...charter };
    const on = transition('on', 'c', { executor: rest, tier: 'reversible', gates });
    const states = [state('a', [transition('go', 'b')]), state('b', [on], onEnter(fields)), state('c')];
    const walk = begin(plan(states, { ...of, charter: own }));
    walk.submit(agent, 'go');
    return walk;
  };
  const isStuck = (walk: Walk, said: RegExp): void => {
    const { executing, status, problem, stuckOn } = walk.run;
    assert.deepEqual([executing, status, problem?.code], [null, 'stuck', 'ON_ENTER_FAILED']);
    assert.deepEqual(stuckOn, { kind: 'onEnter', until: 'never' });
    assert.match(problem?.message ?? '', said);
  };
  const runs = (walk: Walk): void => assert.equal(walk.run.executing?.at, 'onEnter');
  const fromCharter = (fields: Partial<Gate> = {}): Gate =>
    gate({ ...fields, because: ['charter: x'], origin: { source: 'charter', path: null } });

  it('what is irreversible does not run on entering, with a charter or without', () => {
    isStuck(entered({ tier: 'irreversible' }, null), /approval.*irreversible/u);
    isStuck(entered({ tier: 'irreversible' }), /approval.*irreversible/u);
    runs(entered({}, null));
    runs(entered({ tier: 'reversible' }, null));
  });

  it('what no tier maps does not run on entering under a charter', () => {
    isStuck(entered({}), /charter.*unmapped/u);
    runs(entered({ tier: 'reversible' }));
    runs(entered({ executor: { kind: 'noop', output: {} } }));
  });

  it('does not run on entering where its charter has a gate for it, in a plan of an earlier release too', () => {
    isStuck(entered({ tier: 'reversible' }, {}, [fromCharter()]), /charter \(charter: x\)/u);
    isStuck(entered({ tier: 'reversible', gates: [fromCharter()] }), /charter \(charter: x\)/u);
    runs(entered({ tier: 'read_only' }, {}, [fromCharter()]));
    runs(entered({ tier: 'reversible' }, {}, [gate()]));
    runs(
      entered({ tier: 'reversible' }, {}, [
        fromCharter({ on: expr(path('arguments', 'x'), '>', literal(1)) }),
      ]),
    );
    const on = expr(path('context', 'x'), '>', literal(1));
    const within = (x: number | string): Walk =>
      entered({ tier: 'reversible' }, {}, [fromCharter({ on })], { initialContext: { x } });
    runs(within(1));
    const amount = expr(path('arguments', 'x'), '>', literal(1));
    const either = (x: number): Walk => {
      const gates = [fromCharter({ on: { kind: 'anyOf', guards: [amount, on] } })];
      return entered({ tier: 'reversible' }, {}, gates, { initialContext: { x } });
    };
    runs(either(1));
    isStuck(either(2), /charter/u);
    isStuck(within(2), /charter/u);
    isStuck(within('no number'), /charter/u);
  });

  it("has its charter's gates for a tool under `execute`, and for no other", () => {
    const charter = { read: ['r'], execute: ['t'], deny: [], unmapped: [] };
    const calling = { executor: rest, reliability: defaultReliability };
    const gated = (tool: string): boolean => isGated(charter, { tool, ...calling, tier: 'reversible' });
    assert.deepEqual([gated('t'), gated('r')], [true, false]);
  });

  it('what the charter blocks is not taken by a chain', () => {
    const chained = (fields: Fields): Walk =>
      begin(
        plan(
          [
            state('a', [transition('on', 'b', { actor: 'deterministic', executor: rest, ...fields })]),
            state('b'),
          ],
          { charter: { read: [], execute: ['t'], deny: ['d'], unmapped: [] } },
        ),
      );
    for (const [rule, fields] of [
      ['denied', { tool: 'd', tier: 'reversible' }],
      ['undeclared', { tool: 'x', tier: 'reversible' }],
      ['unmapped', { tier: null }],
    ] as const) {
      const { run, last } = chained(fields);
      assert.deepEqual([run.status, run.problem?.code, run.executing], ['stuck', 'BLOCKED', null]);
      const blocked = last.trace.find((fact) => fact.type === 'policy.blocked');
      assert.deepEqual([blocked?.policy?.rule, blocked?.actor.kind], [rule, 'runtime']);
    }
    assert.equal(chained({ tool: 't', tier: 'reversible' }).run.status, 'running');
  });
});

describe('a quorum', () => {
  const approving = (...people: readonly (readonly string[])[]): ApprovalState['decisions'] =>
    people.map((roles, index) => ({
      id: `d${index}`,
      by: { id: `p${index}`, kind: 'human' },
      roles,
      permitted: false,
      gates: [0],
      decision: 'approve',
      at: time,
    }));
  const everybody = ['security', 'operations', 'a', 'b', 'x'];
  const voted = (quorum: Gate['quorum'], decisions: ApprovalState['decisions']) => {
    const rule = gate({ quorum, roles: everybody });
    const own: GateState = {
      rule,
      source: 'transition',
      roles: everybody,
      byPermission: false,
      expiresAt: 0,
    };
    return { own, approval: { gates: [own], decisions, requesters: [] } };
  };
  const enough = (quorum: Gate['quorum'], decisions: ApprovalState['decisions']): boolean =>
    isGateApproved(voted(quorum, decisions).approval, 0, kit);
  const reached = (quorum: Gate['quorum'], ...people: readonly (readonly string[])[]): boolean =>
    enough(quorum, approving(...people));
  const slots = [
    { role: 'security', count: 1 },
    { role: 'operations', count: 2 },
  ];

  it('fills each slot with another person', () => {
    const quorum = { count: 1, perRole: slots };
    assert.equal(reached(quorum, ['security', 'operations'], ['operations']), false);
    assert.equal(reached(quorum, ['security', 'operations'], ['operations'], ['operations']), true);
    assert.equal(reached(quorum, ['operations'], ['operations'], ['operations']), false);
  });

  it('finds who fills what, in whatever order they came', () => {
    const quorum = { count: 1, perRole: slots };
    assert.equal(
      reached(quorum, ['operations', 'security'], ['operations'], ['security', 'operations']),
      true,
    );
    assert.equal(reached(quorum, ['operations'], ['security', 'operations'], ['security']), true);
    assert.equal(
      reached(
        {
          count: 1,
          perRole: [
            { role: 'a', count: 1 },
            { role: 'b', count: 1 },
          ],
        },
        ['a', 'b'],
        ['a'],
      ),
      true,
    );
  });

  it('tells how many of each role have approved, each person counted for one slot', () => {
    const filled = (...people: readonly (readonly string[])[]): number[] => {
      const { own, approval } = voted({ count: 1, perRole: slots }, approving(...people));
      return shareAt(approval, own, 0, kit).perRole.map((share) => share.approved);
    };
    assert.deepEqual(filled(), [0, 0]);
    assert.deepEqual(filled(['security', 'operations']), [1, 0]);
    assert.deepEqual(filled(['security', 'operations'], ['security'], ['operations']), [1, 2]);
    assert.deepEqual(filled(['other']), [0, 0]);
  });

  it('counts no denial, nobody twice, and nothing that is no number', () => {
    const twice = approving(['security']).concat(approving(['security']));
    assert.equal(enough({ count: 2, perRole: [] }, twice), false);
    const denial = approving(['x']).map((decision) => ({ ...decision, decision: 'deny' as const }));
    assert.equal(enough({ count: 1, perRole: [] }, denial), false);
    for (const count of [0, -1, 1.5, NaN, 1e9])
      assert.equal(reached({ count: 1, perRole: [{ role: 'a', count }] }, ['a'], ['a']), false);
  });
});

describe('who may decide', () => {
  const refusal = (walk: Walk, who: typeof ann): string => {
    const said = mayDecide(walk.run.approvals.at(-1) ?? assert.fail(), who, walk.kit);
    return said.status === 'no' ? said.why : 'may';
  };

  it('is not the author and not the promoter, where the gate asks for somebody else', () => {
    const separation = { requester: true, author: true, promoter: true };
    const walk = facing({ gate: gate({ separation }) });
    walk.kit = { ...walk.kit, author: 'ann', promoter: 'ben' };
    walk.submit(agent, 'go');
    assert.deepEqual([refusal(walk, ann), refusal(walk, ben)], ['author', 'promoter']);
    const open = facing({ gate: gate() });
    open.kit = walk.kit;
    open.submit(agent, 'go');
    assert.deepEqual([refusal(open, ann), refusal(open, ben)], ['may', 'may']);
  });

  it('is nobody who has approved in this run before, where the gate says so', () => {
    const separation = { requester: true, author: false, promoter: false, approvers: true };
    const asks = { executor: rest, gate: gate({ separation }) };
    const walk = begin(
      plan([
        state('a', [transition('one', 'b', asks)]),
        state('b', [transition('two', 'c', asks)]),
        state('c'),
      ]),
    );
    walk.submit(agent, 'one');
    approve(walk, ann);
    walk.outcome();
    walk.submit(agent, 'two');
    assert.deepEqual([refusal(walk, ann), refusal(walk, ben)], ['approver', 'may']);
    approve(walk, ann);
    assert.ok(types(walk.last).includes('approval.refused'));
  });

  it('holds for approvals that are open side by side', () => {
    const separation = { requester: true, author: false, promoter: false, approvers: true };
    const walk = facing({ gate: gate({ separation, quorum: { count: 2, perRole: [] } }) });
    walk.submit(agent, 'go', { n: 1 });
    walk.submit(agent, 'go', { n: 2 });
    const [first] = walk.run.approvals;
    walk.decide(ann, first?.id ?? '', 'approve');
    assert.deepEqual([refusal(walk, ann), refusal(walk, ben)], ['approver', 'may']);
  });

  it('holds once: who approved twice elsewhere is excluded once', () => {
    const separation = { requester: true, author: false, promoter: false, approvers: true };
    const walk = begin(
      plan([
        state('a', [
          transition('once', 'a', { gate: gate() }),
          transition('go', 'b', { gate: gate({ separation }) }),
        ]),
        state('b'),
      ]),
    );
    walk.submit(agent, 'go');
    for (const n of [1, 2]) {
      walk.submit(agent, 'once', { n });
      approve(walk, ann);
    }
    assert.deepEqual(walk.run.approvals[0]?.gates[0]?.excluded, [{ id: 'ann', why: 'approver' }]);
  });
});

describe('a decision', () => {
  const decision = (
    walk: Walk,
    who: typeof ann,
    fields: Partial<Extract<Message['body'], { kind: 'decide' }>>,
  ) => {
    const { id, action } = walk.run.approvals[0] ?? assert.fail();
    const body = {
      kind: 'decide',
      approval: id,
      decision: 'approve',
      digest: action.digest,
      reasonGiven: false,
    } as const;
    walk.send({ kind: 'message', time, message: message(who, { ...body, ...fields }) });
    return walk.last.trace.find((fact) => fact.type.startsWith('approval.'));
  };

  it('is on record with its door, who acted for the human, and whether a reason was given', () => {
    const { walk } = parked({ reason: 'required' });
    const acting = { ...ann, actedBy: 'desk' };
    assert.equal(decision(walk, acting, {})?.data['code'], 'REASON_REQUIRED');
    const said = decision(walk, acting, { reasonGiven: true, via: 'slack' });
    assert.deepEqual([said?.data['via'], said?.data['actedBy']], ['slack', 'desk']);
    assert.equal(said?.policy?.reason, 'a reason was given');
  });

  it("is the human's own where the gate asks for it directly", () => {
    const { walk, approval } = parked({ direct: 'required' });
    assert.equal(decision(walk, { ...ann, actedBy: 'desk' }, {})?.data['why'], 'not_direct');
    assert.equal(approval().status, 'open');
    decision(walk, ann, {});
    assert.equal(approval().status, 'approved');
  });

  it('is no approval where it is neither yes nor no', () => {
    const { walk, approval } = parked({});
    decision(walk, ann, { decision: 'perhaps' as 'approve' });
    assert.deepEqual([approval().status, walk.run.executing, walk.run.evidence], ['denied', null, []]);
  });

  it("leaves evidence that carries nobody's name where the requester may decide, and does", () => {
    const { walk } = parked({ separation: { requester: false, author: false, promoter: false } });
    walk.submit(ann, 'go');
    walk.decide(ann, walk.run.approvals[1]?.id ?? '', 'approve');
    assert.notEqual(walk.run.executing, null);
    assert.deepEqual(
      walk.run.evidence.map(({ kind, by }) => [kind, by]),
      [['human_request', null]],
    );
  });
});

describe("an approval's time", () => {
  const stages: GateTimeout = {
    afterMs: hour,
    action: 'escalate',
    to: ['cfo'],
    then: {
      afterMs: 2 * hour,
      action: 'escalate',
      to: ['ceo'],
      then: { afterMs: 3 * hour, action: 'deny', to: [] },
    },
  };

  it('goes from stage to stage, each with its roles and its own time', () => {
    const { walk, approval } = parked({ timeout: stages });
    assert.equal(wakesAfter(walk), hour);
    late(walk, hour);
    assert.deepEqual([approval().roles, wakesAfter(walk)], [['finance.controller', 'cfo'], 3 * hour]);
    late(walk, 3 * hour);
    assert.deepEqual([approval().roles, wakesAfter(walk)], [['finance.controller', 'cfo', 'ceo'], 6 * hour]);
    late(walk, 6 * hour);
    assert.equal(approval().status, 'expired');
  });

  it('takes others in beside those who decide by permission', () => {
    const { walk, approval } = parked({
      roles: [],
      quorum: { count: 2, perRole: [] },
      timeout: { afterMs: hour, action: 'escalate', to: ['cfo'] },
    });
    const dan = principal('dan', 'human', { permissions: ['approval.decide'] });
    const cyd = principal('cyd', 'human', { roles: ['cfo'] });
    walk.decide(cyd, approval().id, 'approve');
    walk.decide(dan, approval().id, 'approve');
    assert.deepEqual([approval().status, approval().decisions.length], ['open', 1]);
    late(walk, hour);
    assert.deepEqual([approval().status, approval().roles], ['escalated', ['cfo']]);
    walk.decide(cyd, approval().id, 'approve');
    assert.equal(approval().status, 'approved');
  });

  it('gives an escalation without a next stage the same time again, and then denies', () => {
    const { walk, approval } = parked({ timeout: { afterMs: hour, action: 'escalate', to: ['cfo'] } });
    late(walk, hour);
    assert.deepEqual([approval().status, wakesAfter(walk)], ['escalated', 2 * hour]);
    late(walk, 2 * hour);
    assert.equal(approval().status, 'expired');
  });

  it('gives it business hours again, where its stage counted those', () => {
    const walk = facing({
      gate: gate({ timeout: { afterMs: hour, action: 'escalate', to: ['cfo'], hours: 'business' } }),
    });
    walk.kit = { ...walk.kit, businessEnd: (from, ms, roles) => from + ms * 10 * roles.length };
    walk.submit(agent, 'go');
    late(walk, 10 * hour);
    assert.equal(wakesAfter(walk), 30 * hour);
  });

  it('approves what is reversible, and nothing else', () => {
    const timeout = { afterMs: hour, action: 'approve' as const, to: [] };
    const reversible = parked({ timeout }, { tier: 'reversible' });
    late(reversible.walk, hour);
    assert.notEqual(reversible.walk.run.executing, null);
    const other = parked({ timeout }, { tier: 'irreversible' });
    late(other.walk, hour);
    assert.deepEqual([other.approval().status, other.walk.run.executing], ['expired', null]);
  });

  it('reminds at fractions of it, and ends all the same', () => {
    const { walk, approval } = parked({
      timeout: { afterMs: hour, action: 'deny', to: [] },
      reminders: [0.5, 0.75],
    });
    assert.equal(wakesAfter(walk), hour / 2);
    late(walk, hour / 2);
    assert.deepEqual([types(walk.last), wakesAfter(walk)], [['approval.reminded'], hour * 0.75]);
    late(walk, hour * 0.75);
    assert.deepEqual(
      [types(walk.last), wakesAfter(walk), approval().status],
      [['approval.reminded'], hour, 'open'],
    );
    late(walk, hour);
    assert.equal(approval().status, 'expired');
  });

  it('is up when a reminder comes too late for it', () => {
    const { walk, approval } = parked({
      timeout: { afterMs: hour, action: 'deny', to: [] },
      reminders: [0.5],
    });
    late(walk, 2 * hour);
    assert.equal(approval().status, 'expired');
  });

  it('ends at an absolute time, and with what the action says', () => {
    const timeout = { afterMs: 10 * hour, action: 'deny' as const, to: [], atMs: start + hour };
    assert.equal(parked({ timeout }).approval().expiresAt, start + hour);
    const until = path('arguments', 'until');
    assert.ok(until.kind === 'path');
    const ending = (value: string): ApprovalState => {
      const walk = facing({ gate: gate({ timeout: stages, expiresWith: [until] }) });
      walk.submit(agent, 'go', { until: value });
      return late(walk, 4 * hour).run.approvals[0] ?? assert.fail();
    };
    assert.deepEqual(
      [ending('2026-01-01T00:30:00Z').status, ending('2026-01-01T00:30:00Z').expiresAt],
      ['expired', start + hour / 2],
    );
    assert.equal(ending('2025-01-01T00:00:00Z').expiresAt, start);
    assert.equal(ending('2026-01-02T00:00:00+01:00').status, 'escalated');
  });

  it('is the earliest of several ends, in whatever order they are named; one that cannot be read asks nobody', () => {
    const ends = (['first', 'second'] as const).map((name) => {
      const end = path('arguments', name);
      return end.kind === 'path' ? end : assert.fail();
    });
    const [early, late] = ['2026-01-01T00:30:00Z', '2026-01-01T00:45:00Z'];
    const asked = (first: string, second: string): readonly ApprovalState[] => {
      const walk = facing({ gate: gate({ timeout: stages, expiresWith: ends }) });
      walk.submit(agent, 'go', { first, second });
      return walk.run.approvals;
    };
    for (const open of [asked(early, late), asked(late, early)])
      assert.deepEqual(
        open.map(({ expiresAt, gates }) => [expiresAt, gates.map(({ endsAt }) => endsAt)]),
        [[start + hour / 2, [start + hour / 2]]],
      );
    for (const none of [asked(early, 'soon'), asked('soon', early)]) assert.deepEqual(none, []);
  });

  it('after an escalation at a moment, with nothing said of what follows, is the one of the environment, and denies', () => {
    const at = { action: 'escalate', to: ['cfo'], atMs: start + hour } as const;
    const ends = [
      [{ ...at, afterMs: noTimeMs }, hour + kit.gateTimeoutMs],
      [{ ...at, afterMs: 10 * hour }, 11 * hour],
      [{ action: 'escalate', to: ['cfo'], afterMs: hour, then: { ...at, afterMs: noTimeMs } }, hour],
    ] as const;
    for (const [timeout, after] of ends) {
      const { walk, approval } = parked({ timeout });
      assert.equal(approval().expiresAt, start + hour);
      late(walk, hour);
      assert.deepEqual([approval().status, approval().expiresAt], ['escalated', start + after]);
    }
    const { walk, approval } = parked({ timeout: ends[0][0] });
    late(walk, hour);
    late(walk, hour + kit.gateTimeoutMs);
    assert.equal(approval().status, 'expired');
  });

  it('is asked of nobody where the time that ends it cannot be read: a form, a day or a zone that is none', () => {
    const until = path('arguments', 'until');
    assert.ok(until.kind === 'path');
    const odd = [
      ...['soon', '', '2026-01-01', '2026-13-01T00:00:00Z', '2026-02-30T00:00:00Z', '2026-01-01T24:00:00Z'],
      ...['2026-01-02T00:00:00', '2026-01-02 00:00:00Z', '2026-01-02T00:00Z', '2026-01-02T00:00:00+99:00'],
      ...[1_767_312_000, 1_767_312_000_000, '1767312000', null, {}, 'x'.repeat(200)],
    ];
    for (const value of [...odd, undefined]) {
      const walk = facing({ gates: [gate(), gate({ expiresWith: [until] })] });
      walk.submit(agent, 'go', value === undefined ? {} : { until: value });
      assert.deepEqual([walk.run.approvals, walk.run.executing], [[], null], String(value));
      const [said] = walk.last.effects.flatMap((effect) => (effect.kind === 'answer' ? [effect.answer] : []));
      assert.ok(said?.status === 'refused' && said.code === 'INPUT_INVALID');
      assert.match(
        said.message,
        /would end with `\$\.arguments\.until`, and `.*` is no time with a zone: write it as/,
      );
      assert.deepEqual(types(walk.last).slice(-1), ['transition.rejected']);
    }
  });

  it('makes the run stuck where the runtime would ask with a time that cannot be read', () => {
    const until = path('context', 'until');
    assert.ok(until.kind === 'path');
    const step = transition('go', 'b', { actor: 'deterministic', gate: gate({ expiresWith: [until] }) });
    const walk = begin(plan([state('a', [step]), state('b')], { initialContext: { until: 'soon' } }));
    assert.deepEqual(
      [walk.run.status, walk.run.problem?.code, walk.run.approvals],
      ['stuck', 'INPUT_INVALID', []],
    );
  });

  it('counts business hours where the gate says so', () => {
    const walk = facing({
      gate: gate({ timeout: { afterMs: hour, action: 'deny', to: [], hours: 'business' }, reminders: [0.5] }),
    });
    walk.kit = { ...walk.kit, businessEnd: (from, ms, roles) => from + ms * 10 * roles.length };
    walk.submit(agent, 'go');
    const [approval] = walk.run.approvals;
    assert.deepEqual(
      [approval?.expiresAt, approval?.gates[0]?.reminders],
      [start + 10 * hour, [start + 5 * hour]],
    );
  });

  it('is over for decisions made after it, though no timer has fired', () => {
    const decideAt = (walk: Walk, ms: number): void => {
      const approval = walk.run.approvals[0] ?? assert.fail();
      const body = {
        kind: 'decide',
        approval: approval.id,
        decision: 'approve',
        digest: approval.action.digest,
        reasonGiven: false,
      } as const;
      walk.send({ kind: 'message', time: at(ms + 1), message: message(ann, body, { time: at(ms) }) });
    };
    const over = parked({ timeout: { afterMs: hour, action: 'deny', to: [] } });
    decideAt(over.walk, hour + 1);
    assert.deepEqual([over.approval().status, over.walk.run.executing], ['open', null]);
    assert.equal(over.walk.last.trace[0]?.data['code'], 'APPROVAL_EXPIRED');
    const before = parked({ timeout: { afterMs: hour, action: 'deny', to: [] } });
    decideAt(before.walk, hour);
    assert.notEqual(before.walk.run.executing, null);
    const between = parked({ timeout: stages });
    decideAt(between.walk, hour + 1);
    assert.notEqual(between.walk.run.executing, null);
    const until = path('arguments', 'until');
    assert.ok(until.kind === 'path');
    const ending = (value: string): Walk => {
      const walk = facing({ gate: gate({ timeout: stages, expiresWith: [until] }) });
      walk.submit(agent, 'go', { until: value });
      decideAt(walk, hour / 2 + 1);
      return walk;
    };
    // The end is absolute: no stage comes after it.
    assert.equal(ending('2026-01-01T00:30:00Z').run.executing, null);
    assert.notEqual(ending('2026-01-01T06:30:00Z').run.executing, null);
  });
});

/** Only the environment asks for an approval. */
function parkedByFloor(): { walk: Walk; approval: string } {
  const walk = facing({ gate: null });
  walk.kit = { ...walk.kit, floors: [floor({})] };
  walk.submit(agent, 'go');
  return { walk, approval: walk.run.approvals[0]?.id ?? '' };
}

describe('what was approved', () => {
  const stops = (change: (walk: Walk) => void): string | undefined => {
    const { walk, approval } = parked({});
    change(walk);
    walk.decide(ann, approval().id, 'approve');
    assert.deepEqual(
      [walk.run.executing === null, approval().status],
      [walk.last.actions.at(-1)?.status === 'failed', 'approved'],
    );
    return walk.last.actions.at(-1)?.error?.message;
  };

  it('does not run over another connection', () => {
    const said = stops((walk) => (walk.kit = { ...walk.kit, connection: () => 'sha256:another' }));
    assert.match(said ?? '', /connection/);
  });

  it('does not run with other values of the context or the input than it was asked for with, and says which', () => {
    const template = (value: unknown): Template => value as Template;
    const calling = (body: Template): Executor => ({ ...rest, body }) as Executor;
    const reading = calling(
      template({
        kind: 'object',
        entries: [
          { key: 'to', value: path('context', 'iban') },
          { key: 'list', value: { kind: 'array', items: [path('input', 'cc'), literal('path')] } },
        ],
      }),
    );
    const fallback = calling(template(path('context', 'other')));
    const calls = {
      executor: reading,
      reliability: { ...defaultReliability, fallback: [fallback] },
    };
    const errorAfter = (change: (walk: Walk) => object): string | undefined => {
      const walk = facing({ gate: gate(), ...calls });
      Object.assign(walk.run, { context: { iban: 'DE1', n: 1 }, input: { cc: 'a' } });
      walk.submit(agent, 'go');
      Object.assign(walk.run, change(walk));
      approve(walk, ann);
      return walk.last.actions.at(-1)?.error?.message;
    };
    assert.match(errorAfter(() => ({ context: { iban: 'DE2' } })) ?? '', /`\$\.context\.iban` has changed/);
    assert.match(errorAfter(() => ({ input: {} })) ?? '', /`\$\.workflow\.input\.cc` has changed/);
    const fell = errorAfter(() => ({ context: { iban: 'DE1', other: 1 } }));
    assert.match(fell ?? '', /`\$\.context\.other` has changed/);
    assert.equal(
      errorAfter(() => ({ context: { iban: 'DE1', n: 2 } })),
      undefined,
    );
  });

  it('does not run where the policy has come to ask for more, and says for what', () => {
    const said = stops(
      (walk) =>
        (walk.kit = {
          ...walk.kit,
          floors: [floor({ quorum: { count: 2, perRole: [] }, reason: 'required' })],
        }),
    );
    assert.match(said ?? '', /asks for more than what it was approved under: quorum, reason/);
  });

  it('runs where the policy asks for the same, or less', () => {
    assert.equal(
      stops((walk) => (walk.kit = { ...walk.kit, floors: [floor({})] })),
      undefined,
    );
  });

  it('runs where the policy no longer asks at all', () => {
    const { walk, approval } = parkedByFloor();
    walk.kit = { ...walk.kit, floors: [] };
    walk.decide(ann, approval, 'approve');
    assert.notEqual(walk.run.executing, null);
  });

  it('is compared rule by rule', () => {
    const of = gate({ roles: ['a', 'b'], quorum: { count: 2, perRole: [{ role: 'a', count: 1 }] } });
    const compared = (now: Gate): string[] => stricterThan(now, of, kit);
    assert.deepEqual(compared(of), []);
    assert.deepEqual(compared(gate({ roles: ['a', 'b', 'c'] })), []);
    assert.deepEqual(compared(gate({ roles: ['a'] })), ['roles']);
    assert.deepEqual(compared(gate({ roles: [] })), ['roles']);
    const slot = { count: 1, perRole: [{ role: 'b', count: 1 }] };
    assert.deepEqual(compared(gate({ roles: ['a', 'b'], quorum: slot })), ['quorum']);
    const more = { count: 1, perRole: [{ role: 'a', count: 2 }] };
    assert.deepEqual(compared(gate({ roles: ['a', 'b'], quorum: more })), ['quorum']);
    // Whoever holds a permission is somebody else than whoever holds a role, whichever of them comes first.
    const byPermission = gate({ roles: [] });
    assert.deepEqual(stricterThan(gate({ roles: ['a'] }), byPermission, kit), ['roles']);
    assert.deepEqual(compared({ ...gate({ roles: ['a', 'b'] }), direct: 'required' }), ['direct']);
    for (const who of ['author', 'promoter', 'approvers'] as const) {
      const separation = { requester: true, author: false, promoter: false, [who]: true };
      assert.deepEqual(compared(gate({ roles: ['a', 'b'], separation })), ['separation']);
    }
    const open = { requester: false, author: false, promoter: false };
    assert.deepEqual(stricterThan(of, { ...of, separation: open }, kit), ['separation']);
    assert.deepEqual(
      stricterThan(gate({ roles: [], queue: 'controllers' }), gate({ reason: 'required' }), kit),
      [],
    );
  });
});
