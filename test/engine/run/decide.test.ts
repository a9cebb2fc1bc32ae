import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { links } from '../../../src/engine/index.js';
import { expr, gate, literal, onEnter, path, plan, rest, state, transition } from '../build.js';
import { agent, fay, principal } from '../people.js';
import { answerOf, approve, begin, operate } from '../walk.js';

describe('a submit', () => {
  it('moves at once where there is no executor, and enters the target', () => {
    const walk = begin(plan([state('a', [transition('go', 'b')]), state('b')]));
    walk.submit(agent, 'go');
    assert.deepEqual([walk.run.state, walk.run.status, walk.run.version], ['b', 'completed', 1]);
  });
  it('is refused after the end, by name too', () => {
    const walk = begin(plan([state('a', [transition('go', 'b')]), state('b')]));
    walk.submit(agent, 'go');
    assert.equal(answerOf(walk.submit(agent, 'go'))?.code, 'RUN_CLOSED');
  });
  it('changes nothing but the record when refused', () => {
    const walk = begin(
      plan([state('a', [transition('go', 'b', { guards: [{ kind: 'role', role: 'x' }] })]), state('b')]),
    );
    const before = { ...walk.run, seen: [] };
    assert.equal(answerOf(walk.submit(agent, 'go'))?.code, 'GUARD_REJECTED');
    assert.deepEqual({ ...walk.run, seen: [] }, before);
    assert.ok(walk.last.trace.some((fact) => fact.type === 'transition.rejected'));
  });
  it('refuses a stale version, an unknown transition, and the wrong kind of principal', () => {
    const walk = begin(plan([state('a', [transition('go', 'b', { actor: 'human' })]), state('b')]));
    assert.equal(answerOf(walk.submit(fay, 'go', {}, 7))?.code, 'STALE_VERSION');
    assert.equal(answerOf(walk.submit(fay, 'nope'))?.code, 'UNKNOWN_TRANSITION');
    assert.equal(answerOf(walk.submit(agent, 'go', { kind: 'human' }))?.code, 'ACTOR_MISMATCH');
  });
  it('is busy while another executes, and stale once that one has advanced', () => {
    const walk = begin(plan([state('a', [transition('go', 'a', { executor: rest })])]));
    walk.submit(agent, 'go', {}, 0);
    assert.equal(answerOf(walk.submit(agent, 'go', {}, 0))?.code, 'RUN_BUSY');
    walk.outcome();
    assert.equal(answerOf(walk.submit(agent, 'go', {}, 0))?.code, 'STALE_VERSION');
  });
  it('keeps its idempotency key over failures, and gets a new one after success', () => {
    const walk = begin(plan([state('a', [transition('go', 'a', { executor: rest })])]));
    const keys: string[] = [];
    for (const result of [{ status: 'failed', errorClass: 'transient', message: 'no' }, {}, {}] as const) {
      walk.submit(agent, 'go', { x: 1 });
      keys.push(walk.run.executing?.action.idempotencyKey ?? '');
      walk.outcome(result as object);
    }
    assert.equal(keys[0], keys[1]);
    assert.notEqual(keys[1], keys[2]);
  });
});

describe('a gate', () => {
  const gated = () =>
    begin(
      plan([
        state('a', [
          transition('pay', 'b', { executor: rest, gate: gate(), tier: 'reversible' }),
          transition('note', 'a'),
        ]),
        state('b'),
      ]),
    );
  it('parks, binds the action, and runs it once after an approval', () => {
    const walk = gated();
    assert.equal(answerOf(walk.submit(agent, 'pay', { amount: 1 }))?.status, 'pending');
    const approval = walk.run.approvals[0];
    assert.ok(approval);
    assert.equal(walk.run.status, 'waiting');
    walk.decide(fay, approval.id, 'approve');
    assert.equal(walk.run.executing?.action.digest, approval.action.digest);
    walk.outcome();
    assert.equal(walk.run.approvals[0]?.status, 'consumed');
    assert.equal(walk.run.status, 'completed');
  });
  it('refuses another digest, the requester, agents, other roles, and a second decision', () => {
    const walk = gated();
    walk.submit(principal('fay', 'human', { roles: ['finance.controller'] }), 'pay');
    const id = walk.run.approvals[0]?.id ?? '';
    assert.equal(answerOf(walk.decide(fay, id, 'approve'))?.code, 'NOT_AN_APPROVER');
    assert.equal(
      answerOf(walk.decide(principal('a', 'agent', { roles: ['finance.controller'] }), id, 'approve'))?.code,
      'NOT_AN_APPROVER',
    );
    assert.equal(answerOf(walk.decide(principal('m'), id, 'approve'))?.code, 'NOT_AN_APPROVER');
    const other = principal('flo', 'human', { roles: ['finance.controller'] });
    assert.equal(answerOf(walk.decide(other, id, 'approve', 'sha256:0'))?.code, 'DIGEST_MISMATCH');
    walk.decide(other, id, 'deny');
    assert.equal(answerOf(walk.decide(other, id, 'approve'))?.code, 'ALREADY_DECIDED');
    assert.equal(walk.run.executing, null);
  });
  it('does not lock the run, and is revoked when the run leaves the state', () => {
    const walk = begin(
      plan([
        state('a', [transition('pay', 'b', { executor: rest, gate: gate() }), transition('leave', 'c')]),
        state('b'),
        state('c', [transition('x', 'c')]),
      ]),
    );
    walk.submit(agent, 'pay');
    walk.submit(agent, 'leave');
    assert.equal(walk.run.approvals[0]?.status, 'revoked');
    assert.equal(answerOf(approve(walk))?.code, 'APPROVAL_REVOKED');
  });
  it('expires at its deadline, once', () => {
    const walk = gated();
    walk.submit(agent, 'pay');
    const id = walk.run.approvals[0]?.id ?? '';
    walk.fire(id);
    assert.equal(walk.run.approvals[0]?.status, 'expired');
    assert.equal(answerOf(walk.decide(fay, id, 'approve'))?.code, 'APPROVAL_EXPIRED');
    assert.equal(walk.fire(id).trace.length, 0);
  });
  it('checks the guards again after the approval, and does not consume it when one fails', () => {
    const guarded = transition('pay', 'b', {
      executor: rest,
      gate: gate(),
      guards: [expr(path('context', 'n'), '!=', literal(1))],
    });
    const set = transition('set', 'a', {
      executor: { kind: 'noop', output: null },
      output: [{ key: 'n', spec: { kind: 'set', value: literal(1) } as never }],
    });
    const walk = begin(plan([state('a', [guarded, set]), state('b')]));
    walk.submit(agent, 'pay');
    walk.submit(agent, 'set');
    walk.outcome();
    approve(walk);
    assert.equal(walk.run.executing, null);
    assert.equal(walk.run.approvals[0]?.status, 'approved');
    assert.ok(
      walk.last.actions.some((row) => row.status === 'failed' && row.error?.code === 'GUARD_REJECTED'),
    );
  });
  it('applies when its condition cannot be evaluated', () => {
    const walk = begin(
      plan([
        state('a', [
          transition('pay', 'b', {
            executor: rest,
            gate: gate({ on: expr(path('arguments', 'amount'), '>', literal(5)) }),
          }),
        ]),
        state('b'),
      ]),
    );
    assert.equal(answerOf(walk.submit(agent, 'pay', { amount: 'many' }))?.status, 'pending');
  });
  it('counts distinct humans for its quorum', () => {
    const walk = begin(
      plan([
        state('a', [
          transition('pay', 'b', { executor: rest, gate: gate({ quorum: { count: 2, perRole: [] } }) }),
        ]),
        state('b'),
      ]),
    );
    walk.submit(agent, 'pay');
    const id = walk.run.approvals[0]?.id ?? '';
    walk.decide(fay, id, 'approve');
    assert.equal(answerOf(walk.decide(fay, id, 'approve'))?.code, 'ALREADY_DECIDED');
    assert.equal(walk.run.executing, null);
    walk.decide(principal('flo', 'human', { roles: ['finance.controller'] }), id, 'approve');
    assert.notEqual(walk.run.executing, null);
  });
});

describe('an approval', () => {
  const gated = (fields: Parameters<typeof transition>[2] = {}) =>
    begin(plan([state('a', [transition('pay', 'b', { gate: gate(), ...fields })]), state('b')]));
  it('is used up by what it lets through, also where nothing is executed', () => {
    const walk = gated();
    walk.submit(agent, 'pay');
    approve(walk);
    assert.deepEqual([walk.run.status, walk.run.approvals[0]?.status], ['completed', 'consumed']);
    assert.equal(walk.last.trace.filter((fact) => fact.type === 'approval.consumed').length, 1);
  });
  it('counts nobody for its own request, who asked for the same as somebody else', () => {
    const walk = gated({ gate: gate({ quorum: { count: 2, perRole: [] } }) });
    const third = principal('flo', 'human', { roles: ['finance.controller'] });
    walk.submit(agent, 'pay');
    const id = walk.run.approvals[0]?.id ?? '';
    walk.decide(fay, id, 'approve');
    walk.submit(fay, 'pay');
    const own = walk.run.approvals[1]?.id ?? '';
    assert.equal(answerOf(walk.decide(fay, own, 'approve'))?.code, 'NOT_AN_APPROVER');
    walk.decide(third, own, 'approve');
    assert.deepEqual(
      walk.run.approvals.map((approval) => approval.status),
      ['open', 'open'],
    );
    walk.decide(third, id, 'approve');
    assert.deepEqual(
      walk.run.approvals.map((approval) => approval.status),
      ['consumed', 'revoked'],
    );
  });
});

describe('onEnter, chains and being stuck', () => {
  it('is stuck when onEnter fails, and an operator may retry or cancel', () => {
    const entering = state('a', [transition('go', 'b')], onEnter());
    const walk = begin(plan([entering, state('b')]));
    walk.outcome({ status: 'failed', errorClass: 'permanent', message: 'no' } as object);
    assert.deepEqual([walk.run.status, walk.run.problem?.code], ['stuck', 'ON_ENTER_FAILED']);
    assert.equal(answerOf(operate(walk, 'retry', { by: agent }))?.code, 'FORBIDDEN');
    operate(walk, 'retry');
    walk.outcome();
    assert.deepEqual([walk.run.status, walk.run.version], ['running', 1]);
  });
  it('takes the one deterministic transition whose guard passes, and is stuck with none or several', () => {
    const chain = (first: boolean, second: boolean) =>
      begin(
        plan([
          state('a', [
            transition('x', 'b', {
              actor: 'deterministic',
              guards: [expr(literal(first), '==', literal(true))],
            }),
            transition('y', 'b', {
              actor: 'deterministic',
              guards: [expr(literal(second), '==', literal(true))],
            }),
          ]),
          state('b'),
        ]),
      ).run;
    assert.equal(chain(true, false).status, 'completed');
    assert.equal(chain(false, false).problem?.code, 'CHAIN_NO_MATCH');
    assert.equal(chain(true, true).problem?.code, 'CHAIN_AMBIGUOUS');
  });
  it('never fires a lone guarded transition whose guard is false', () => {
    const walk = begin(
      plan([
        state('a', [
          transition('x', 'b', { actor: 'deterministic', guards: [expr(literal(1), '==', literal(2))] }),
        ]),
        state('b'),
      ]),
    );
    assert.deepEqual([walk.run.state, walk.run.status], ['a', 'stuck']);
  });
  it('ends an endless chain', () => {
    const walk = begin(
      plan([
        state('a', [transition('x', 'b', { actor: 'deterministic' })]),
        state('b', [transition('y', 'a', { actor: 'deterministic' })]),
      ]),
    );
    assert.equal(walk.run.problem?.code, 'CHAIN_TOO_LONG');
  });
  it('does not do again what may have been done: a person decides', () => {
    const walk = begin(plan([state('a', [transition('go', 'b', { executor: rest })]), state('b')]));
    walk.submit(agent, 'go');
    walk.outcome({ status: 'unknown', message: 'lost' } as object);
    assert.deepEqual([walk.run.status, walk.run.problem?.code], ['stuck', 'EXECUTOR_UNKNOWN']);
    const key = walk.history.flatMap((result) => result.effects).find((effect) => effect.kind === 'execute');
    operate(walk, 'retry');
    assert.equal(
      walk.run.executing?.action.idempotencyKey,
      key?.kind === 'execute' ? key.executing.action.idempotencyKey : '',
    );
  });
});

describe('links', () => {
  it('under byGuards lists what a submit would take, and hides what it would refuse', () => {
    const of = plan(
      [
        state('a', [
          transition('mine', 'a', { guards: [{ kind: 'permission', permission: 'p' }] }),
          transition('open', 'a'),
          transition('human', 'a', { actor: 'human' }),
        ]),
      ],
      { linkFilter: 'byGuards' },
    );
    const walk = begin(of);
    assert.deepEqual(
      links(of, walk.run, agent, { floors: [] }).map((link) => link.rel),
      ['open'],
    );
    assert.deepEqual(
      links(of, walk.run, principal('h', 'human', { permissions: ['p'] }), { floors: [] }).map(
        (link) => link.rel,
      ),
      ['mine', 'open', 'human'],
    );
  });
});
