import assert from 'node:assert/strict';
import type { JsonObject } from '../../src/model/values/json.js';
import type { Gate, Guard, Path } from '../../src/engine/plan.js';
import type { EventResult } from '../../src/engine/state.js';
import type { Principal } from '../../src/model/principal.js';
import { expr, gate, keyless, literal, path } from '../engine/build.js';
import { agent, fay, principal } from '../engine/people.js';
import { time, type Walk } from '../engine/walk.js';
import { previewCalls } from '../../src/executors/index.js';
import { failClosed } from './support/cells.js';
import { answers, facing, odd, recorded, refuses } from './support/refused.js';

// Gates: when in doubt one applies, nobody decides, and nothing runs.

/** A parked action behind the gate. */
function parked(fields: Partial<Gate> = {}, guards: readonly Guard[] = []): { walk: Walk; id: string } {
  const walk = facing({ executor: keyless, gate: gate(fields), guards, tier: 'irreversible' });
  const decision = walk.submit(agent, 'go');
  assert.equal(answers(decision)[0]?.['status'], 'pending');
  assert.equal(recorded(decision, 'human.approval.requested').length, 1);
  return { walk, id: walk.run.approvals[0]?.id ?? '' };
}

function refusesDecision(by: Principal, code: string, fields: Partial<Gate> = {}, digest?: string): void {
  const { walk, id } = parked(fields);
  refuses(walk, () => walk.decide(by, id, 'approve', digest), code, 'approval.refused');
}

/** The condition of the gate cannot be told: then it applies. */
function applies(on: Guard | null, args = {}): void {
  const walk = facing({ executor: keyless, gate: gate({ on }) });
  const decision = walk.submit(agent, 'go', args);
  assert.equal(answers(decision)[0]?.['status'], 'pending');
  assert.equal(recorded(decision, 'human.approval.requested').length, 1);
  assert.equal(walk.run.executing, null);
}

failClosed('gate.on', {
  error: () => applies(expr(path('arguments', 'amount'), '>', literal(5)), { amount: 'many' }),
  missing: () => applies(expr(path('arguments', 'amount'), '>', literal(5))),
  malformed: () => applies(odd({ kind: 'weather' })),
  empty: () => {
    applies(null);
    applies({ kind: 'anyOf', guards: [] });
  },
});

failClosed('gate.roles', {
  error: () => refusesDecision(principal('a', 'agent', { roles: ['finance.controller'] }), 'NOT_AN_APPROVER'),
  missing: () => {
    refusesDecision(principal('m'), 'NOT_AN_APPROVER');
    refusesDecision(principal('m', 'human', { permissions: ['approval.decide'] }), 'NOT_AN_APPROVER');
  },
  malformed: () => {
    for (const role of ['Finance.Controller', 'finance', 'finance.*', '*'])
      refusesDecision(principal('m', 'human', { roles: [role] }), 'NOT_AN_APPROVER');
  },
  empty: () => {
    refusesDecision(fay, 'NOT_AN_APPROVER', { roles: [] });
    refusesDecision(fay, 'NOT_AN_APPROVER', { roles: [], queue: 'a queue of nobody' });
  },
});

failClosed('gate.separation', {
  error: () => {
    const walk = facing({ executor: keyless, gate: gate(), actor: 'agent' });
    walk.submit(fay, 'go');
    const id = walk.run.approvals[0]?.id ?? '';
    refuses(walk, () => walk.decide(fay, id, 'approve'), 'NOT_AN_APPROVER', 'approval.refused');
  },
  missing: () => {
    const walk = facing({ executor: keyless, gate: gate() });
    walk.submit(agent, 'go');
    walk.submit(fay, 'go');
    const id = walk.run.approvals[1]?.id ?? '';
    refuses(walk, () => walk.decide(fay, id, 'approve'), 'NOT_AN_APPROVER', 'approval.refused');
  },
});

/** One approval is not enough, and nothing runs. */
function oneIsTooFew(quorum: Gate['quorum']): void {
  const { walk, id } = parked({ quorum });
  const decision = walk.decide(fay, id, 'approve');
  assert.equal(recorded(decision, 'approval.decided').length, 1);
  assert.deepEqual([walk.run.approvals[0]?.status, walk.run.executing], ['open', null]);
}

failClosed('gate.quorum', {
  error: () => {
    const { walk, id } = parked({ quorum: { count: 2, perRole: [] } });
    walk.decide(fay, id, 'approve');
    refuses(walk, () => walk.decide(fay, id, 'approve'), 'ALREADY_DECIDED', 'approval.refused');
  },
  missing: () => oneIsTooFew({ count: 2, perRole: [] }),
  malformed: () => {
    oneIsTooFew({ count: odd('two'), perRole: [] });
    oneIsTooFew({ count: odd(undefined), perRole: [] });
  },
  empty: () => oneIsTooFew({ count: 1, perRole: [{ role: 'nobody.has.this', count: 1 }] }),
});

const after = (action: 'deny' | 'escalate' | 'approve', afterMs: number): Gate['timeout'] => ({
  afterMs,
  action,
  to: [],
});
const cfo = principal('cat', 'human', { roles: ['cfo'] });

/** An author's gate, and one more of somebody else: the second keeps its own word. */
function beside(first: Partial<Gate>, second: Partial<Gate>): { walk: Walk; id: string } {
  const gates = [gate(first), gate({ roles: ['cfo'], ...second })];
  const walk = facing({ executor: keyless, gates, tier: 'reversible' });
  walk.submit(agent, 'go');
  return { walk, id: walk.run.approvals[0]?.id ?? '' };
}

/** Time, or a decision at the first gate alone, executes nothing. */
function waits({ walk }: { walk: Walk }, decision: EventResult): void {
  assert.equal(walk.run.executing, null);
  assert.ok(decision.effects.every((one) => one.kind !== 'execute'));
  assert.ok(['open', 'escalated'].includes(walk.run.approvals[0]?.status ?? ''));
}

failClosed('gate.conjunction', {
  error: () => {
    const both = beside({}, { on: expr(literal('x'), '>', literal(1)) });
    waits(both, both.walk.decide(fay, both.id, 'approve'));
  },
  timeout: () => {
    const both = beside({ timeout: after('approve', 1_000) }, {});
    const at = both.walk.run.approvals[0]?.timer ?? 0;
    const fired = { kind: 'deadline', time: new Date(at).toISOString(), approval: both.id } as const;
    waits(both, both.walk.send(fired));
    const denied = both.walk.decide(cfo, both.id, 'deny');
    assert.deepEqual([both.walk.run.approvals[0]?.status, denied.effects.length > 0], ['denied', true]);
  },
  missing: () => {
    const both = beside({}, { quorum: { count: 2, perRole: [] } });
    both.walk.decide(fay, both.id, 'approve');
    waits(both, both.walk.decide(cfo, both.id, 'approve'));
  },
  malformed: () => {
    const both = beside({}, { roles: odd(['']) });
    waits(both, both.walk.decide(fay, both.id, 'approve'));
  },
  empty: () => {
    const { walk, id } = beside({}, {});
    walk.run = { ...walk.run, approvals: walk.run.approvals.map((one) => ({ ...one, gates: [] })) };
    refuses(walk, () => walk.decide(fay, id, 'approve'), 'NOT_AN_APPROVER', 'approval.refused');
  },
});

/** Nobody knows until when it may be decided: nobody is asked. */
function endless(args: JsonObject): void {
  const walk = facing({
    executor: keyless,
    gate: gate({ expiresWith: [path('arguments', 'until') as Path] }),
  });
  refuses(walk, () => walk.submit(agent, 'go', args), 'INPUT_INVALID', 'transition.rejected');
  assert.deepEqual(walk.run.approvals, []);
}

failClosed('gate.end', {
  error: () => {
    endless({ until: 1_798_797_600 });
    endless({ until: { at: '2027-01-01T10:00:00Z' } });
  },
  missing: () => endless({}),
  malformed: () => {
    for (const until of ['2027-01-01T10:00:00', '2027-01-01 10:00:00Z', '2027-01-01', '2027-02-30T10:00:00Z'])
      endless({ until });
  },
  empty: () => endless({ until: '' }),
});

failClosed('gate.shown', {
  error: () => {
    for (const [shown, code] of [
      [{ refused: { code: 'TOO_LARGE', message: 'it is more than can be shown' } }, 'TOO_LARGE'],
      [{ preview: 'q'.repeat(4_200_000) }, 'RUN_FULL'],
    ] as const) {
      const walk = facing({ executor: keyless, gate: gate() });
      walk.kit = { ...walk.kit, show: () => ({ summary: '', consequence: '', preview: null, ...shown }) };
      refuses(walk, () => walk.submit(agent, 'go'), code, 'transition.rejected');
      assert.deepEqual(walk.run.approvals, []);
    }
  },
  missing: () => {
    for (const args of [{}, { name: 'a' }, { name: null, q: 1 }]) neverMade(args);
  },
  malformed: () => {
    for (const [name, q] of [
      ['..', 1],
      ['.', 1],
      ['a', []],
      ['a', [1, 2]],
      ['a', {}],
      [{}, 1],
    ] as const)
      neverMade({ name, q });
  },
  empty: () => neverMade({ name: '', q: 1 }),
});

/** Nobody is asked, as the service asks, for a call of these arguments. */
function neverMade(args: JsonObject, query = path('arguments', 'q')): void {
  const parts = ['/files/', path('arguments', 'name') as Path];
  const executor = {
    ...keyless,
    path: { kind: 'text', parts },
    query: [{ key: 'q', value: query }],
  } as const;
  const walk = facing({ executor, gate: gate() });
  walk.kit = {
    ...walk.kit,
    show: (transition, asking) => ({ summary: '', consequence: '', ...previewCalls(transition, asking) }),
  };
  refuses(walk, () => walk.submit(agent, 'go', args), 'INPUT_INVALID', 'transition.rejected');
  assert.deepEqual([walk.run.approvals, walk.run.executing], [[], null]);
}

/** The time is up and nobody decided: the action never ran, and the record says that it expired. */
function expires(timeout: Gate['timeout']): void {
  const { walk, id } = parked({ timeout });
  const at = walk.run.approvals[0]?.timer ?? 0;
  const decision = walk.send({ kind: 'deadline', time: new Date(at).toISOString(), approval: id });
  assert.deepEqual([walk.run.approvals[0]?.status, walk.run.executing], ['expired', null]);
  assert.equal(recorded(decision, 'approval.expired').length, 1);
  assert.equal(recorded(decision, 'approval.decided').length, 0);
  refuses(walk, () => walk.decide(fay, id, 'approve'), 'APPROVAL_EXPIRED', 'approval.refused');
}

failClosed('gate.deadline', {
  error: () => expires(after('approve', 1_000)),
  timeout: () => expires(after('deny', 1_000)),
  missing: () => {
    expires(null);
    const { walk } = parked({ timeout: null });
    assert.equal(walk.run.approvals[0]?.expiresAt, Date.parse(time) + 3_600_000);
  },
  malformed: () => expires(odd({ afterMs: 1_000, action: 'shrug', to: [] })),
  empty: () => {
    const { walk } = parked();
    const decision = walk.send({ kind: 'deadline', time, approval: 'apr_of_nobody' });
    assert.deepEqual([walk.run.approvals[0]?.status, decision.effects.length], ['open', 0]);
  },
});

failClosed('decision', {
  error: () => {
    const { walk, id } = parked();
    walk.decide(fay, id, 'deny');
    const other = principal('flo', 'human', { roles: ['finance.controller'] });
    refuses(walk, () => walk.decide(other, id, 'approve'), 'ALREADY_DECIDED', 'approval.refused');
  },
  timeout: () => expires(null),
  missing: () => {
    const { walk } = parked();
    refuses(walk, () => walk.decide(fay, 'apr_nobody', 'approve'), 'NOT_FOUND', 'approval.refused');
  },
  malformed: () => {
    const { walk, id } = parked({ timeout: null });
    walk.run = { ...walk.run, approvals: walk.run.approvals.map((one) => ({ ...one, status: 'revoked' })) };
    refuses(walk, () => walk.decide(fay, id, 'approve'), 'APPROVAL_REVOKED', 'approval.refused');
  },
  empty: () => refusesDecision(fay, 'REASON_REQUIRED', { reason: 'required' }),
});

failClosed('digest.decision', {
  error: () => refusesDecision(fay, 'DIGEST_MISMATCH', {}, `sha256:${'0'.repeat(64)}`),
  malformed: () => refusesDecision(fay, 'DIGEST_MISMATCH', {}, 'not a digest'),
  empty: () => refusesDecision(fay, 'DIGEST_MISMATCH', {}, ''),
});

/** Approved, and then the ground had moved: nothing runs, and the approval is not used up. */
function stopsAfterApproval(
  guards: readonly Guard[],
  change: (walk: Walk, id: string) => void,
  code = 'DIGEST_MISMATCH',
): void {
  const { walk, id } = parked({}, guards);
  change(walk, id);
  const decision = walk.decide(fay, id, 'approve');
  assert.equal(walk.run.executing, null);
  assert.equal(walk.run.approvals[0]?.status, 'approved');
  assert.ok(decision.effects.every((one) => one.kind !== 'execute'));
  assert.deepEqual(decision.actions.map((one) => [one.status, one.error?.code]).at(-1), ['failed', code]);
  assert.equal(recorded(decision, 'transition.rejected').length, 1);
}

const still = expr(path('context', 'n'), '!=', literal('x'));
const setContext = (context: Walk['run']['context']) => (walk: Walk) => {
  walk.run = { ...walk.run, context };
};

failClosed('recheck', {
  error: () => stopsAfterApproval([still], setContext({ n: 1 }), 'GUARD_REJECTED'),
  missing: () => stopsAfterApproval([], (walk) => (walk.run = { ...walk.run, state: 'b' })),
  malformed: () =>
    stopsAfterApproval([], (walk) => {
      const approvals = walk.run.approvals.map((one) => ({
        ...one,
        action: { ...one.action, arguments: { amount: 1_000_000 } },
      }));
      walk.run = { ...walk.run, approvals };
    }),
  empty: () =>
    stopsAfterApproval([], (walk) => {
      const approvals = walk.run.approvals.map((one) => ({
        ...one,
        gates: one.gates.map((each) => ({ ...each, rule: odd<Gate>({ ...each.rule, because: [] }) })),
      }));
      walk.run = { ...walk.run, approvals };
    }),
});
