import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { decide, giveUp, initialRun, unstarted } from '../../../src/engine/index.js';
import type { JsonObject } from '../../../src/model/values/json.js';
import type { Executor } from '../../../src/engine/plan.js';
import { closedStatuses, type EventResult, type Kit, type RunState } from '../../../src/engine/state.js';
import type { Principal } from '../../../src/model/principal.js';
import { canonical } from '../../../src/model/values/canonical.js';
import { gate, onEnter, plan, rest, state, transition } from '../build.js';
import { agent, fay, operator, principal } from '../people.js';
import { approve, begin, kit, message, operate, time, type Walk } from '../walk.js';
import { answered, play, story } from '../stories.js';

// A run over which our own code failed waits for an operator: nothing of it is done, and nobody who asked waits for ever.

const giving = { code: 'STEP_FAILED', key: 's1.failed', time, why: 'it threw' } as const;

function give(
  run: RunState,
  messages: readonly string[] = [],
  code: 'STEP_FAILED' | 'HISTORY_FORKED' = 'STEP_FAILED',
  key = 's9.failed',
): EventResult {
  return giveUp(run, { code, key, time, why: 'it threw', start: null, messages });
}

function walking(): Walk {
  return begin(
    plan([
      state('a', [
        transition('go', 'b', { executor: rest }),
        transition('pay', 'b', { gate: gate(), executor: rest }),
      ]),
      state('b'),
    ]),
  );
}

describe('giving up on a step', () => {
  it('makes the run stuck with the code, on record once, and refuses whoever asked', () => {
    for (const code of ['STEP_FAILED', 'HISTORY_FORKED'] as const) {
      const result = give(walking().run, ['msg_1', 'msg_2'], code);
      assert.deepEqual([result.state.status, result.state.problem?.code], ['stuck', code]);
      assert.match(String(result.state.problem?.message), /it threw/);
      assert.deepEqual(result.state.stuckOn, { kind: 'chain' });
      assert.deepEqual(
        answered(result).map(({ messageId, answer }) => [
          messageId,
          answer.status === 'refused' && answer.code,
        ]),
        [
          ['msg_1', 'RUN_STUCK'],
          ['msg_2', 'RUN_STUCK'],
        ],
      );
      const [record, ...more] = result.trace;
      assert.deepEqual(
        [record?.type, record?.key, record?.data['code'], more],
        ['run.stuck', 's9.failed', code, []],
      );
    }
  });

  it('leaves what became of an effect to a person, tells whoever waits for it, and executes nothing', () => {
    const walk = walking();
    walk.submit(agent, 'go');
    const { executing, waitingAnswer } = walk.run;
    assert.ok(executing !== null && waitingAnswer !== null);
    const result = give(walk.run);
    assert.equal(result.state.executing, null);
    assert.equal(result.state.waitingAnswer, null);
    assert.deepEqual(result.state.stuckOn, { kind: 'action', action: executing.action });
    assert.deepEqual(
      result.actions.map(({ action, status, error }) => [action.id, status, error?.code, error?.errorClass]),
      [[executing.action.id, 'unknown', 'EXECUTOR_UNKNOWN', 'unknown_outcome']],
    );
    assert.deepEqual(
      answered(result).map(({ messageId }) => messageId),
      [waitingAnswer.messageId],
    );
  });

  it('has an onEnter entered again on retry, by a human only: what became of its effect is unknown', () => {
    const walk = begin(plan([state('a', [transition('go', 'b')], onEnter()), state('b')]));
    assert.equal(walk.run.executing?.at, 'onEnter');
    const { idempotencyKey, n } = walk.run.executing.action;
    const retried = (by: Principal): Walk['run'] => operate(walk, 'retry', { by }).state;
    for (const code of ['STEP_FAILED', 'HISTORY_FORKED'] as const) {
      const given = give(walk.run, [], code).state;
      assert.deepEqual(given.stuckOn, { kind: 'onEnter', unknown: true, again: { idempotencyKey, n } });
      walk.run = given;
      const robot = principal('bot', 'system', { permissions: ['run.operate'] });
      assert.deepEqual(retried(robot), given);
      assert.equal(answered(walk.last).find(() => true)?.answer.status, 'refused');
      assert.equal(retried(operator).executing?.at, 'onEnter');
    }
  });

  it('has a run begin on retry whose first step was given up: its input is looked at, its clock starts, its onEnter runs', () => {
    const of = plan([state('a', [transition('go', 'b')], onEnter()), state('b')], {
      timeoutMs: 1_000,
      inputSchema: {},
    });
    const validate: Kit['validate'] = (_schema, value) =>
      Object.keys(value).length === 0
        ? { status: 'valid', value: { copies: 2 } }
        : { status: 'invalid', errors: [{ pointer: '', message: 'no' }] };
    const body = {
      kind: 'start',
      mode: 'live',
      ...{ flow: 'f', flowVersion: 3, planHash: 'sha256:p' },
    } as const;
    const startOf = (input: JsonObject) => {
      const sent = message(agent, { ...body, input, environment: 'dev', traceId: 't' });
      const before = initialRun(of, 'sha256:p', sent) ?? assert.fail();
      const start = unstarted(sent, sent.body as never);
      return { sent, given: giveUp(before, { ...giving, start, messages: [sent.id] }) };
    };
    const retried = (run: RunState): EventResult => {
      const event = { kind: 'message', time, message: message(operator, { kind: 'retry' }) } as const;
      return decide(of, run, event, { ...kit, validate }, 'again');
    };
    const { sent, given } = startOf({});
    assert.deepEqual([given.state.status, given.state.executing], ['stuck', null]);
    const { state: begun, trace } = retried(given.state);
    const started = trace.find(({ type }) => type === 'run.started');
    assert.deepEqual(
      [started?.actor.id, started?.causation, started?.data['flowVersion']],
      ['bot', sent.id, 3],
    );
    assert.deepEqual([begun.input, begun.deadline], [{ copies: 2 }, Date.parse(time) + 1_000]);
    assert.deepEqual([begun.executing?.at, begun.stuckOn], ['onEnter', null]);
    // Given up once more, the run has still not begun.
    assert.equal(giveUp(given.state, { ...giving, start: null, messages: [] }).state.stuckOn?.kind, 'start');
    const { state: refused } = retried(startOf({ copies: 'x' }).given.state);
    assert.deepEqual([refused.status, refused.problem?.code], ['failed', 'START_REFUSED']);
  });

  it('remembers that it may have happened, for whoever is asked for it again', () => {
    const walk = walking();
    walk.submit(agent, 'go');
    const key = walk.run.executing?.action.idempotencyKey ?? '';
    assert.deepEqual(give(walk.run).state.doubts, [key]);
    assert.equal(give(walking().run).state.doubts, undefined);
  });

  it('keeps what the run was stuck on before', () => {
    const walk = walking();
    walk.submit(agent, 'go');
    const first = give(walk.run).state;
    const second = give(first, [], 'HISTORY_FORKED', 's10.forked').state;
    assert.deepEqual(second.stuckOn, first.stuckOn);
    // Whoever has a retry under way has looked at the first problem.
    assert.deepEqual([first.stuckAt, second.stuckAt], ['s9.failed', 's10.forked']);
  });

  it('changes nothing of a run that has ended, and answers all the same', () => {
    const walk = walking();
    for (const status of closedStatuses) {
      const run = { ...walk.run, status };
      const result = give(run, ['msg_1']);
      assert.equal(result.state, run);
      assert.deepEqual([result.trace, result.actions, answered(result).length], [[], [], 1]);
    }
  });

  it('keeps open approvals: once an operator retries, they are decided', () => {
    const walk = walking();
    walk.submit(agent, 'pay');
    const [open] = walk.run.approvals;
    walk.run = give(walk.run).state;
    assert.deepEqual(walk.run.approvals, [open]);
    operate(walk, 'retry');
    assert.equal(walk.run.status, 'waiting');
    walk.decide(principal('fay', 'human', { roles: ['finance.controller'] }), open?.id ?? '', 'approve');
    assert.equal(walk.run.executing?.action.approval, open?.id);
  });

  it('leaves the run where it is when its time is up, whoever asks it anything, until an operator has it go on: then its time is up', () => {
    const late = new Date(Date.parse(time) + 10_000).toISOString();
    const of = plan([state('a', [transition('pay', 'a', { gate: gate() })]), state('late', [], onEnter())], {
      ...{ timeoutMs: 6_000, onTimeout: { target: 'late' } },
    });
    const robot = principal('cron', 'system');
    const submit = { kind: 'submit', transition: 'pay', arguments: {}, expectedVersion: null } as const;
    for (const code of ['STEP_FAILED', 'HISTORY_FORKED'] as const) {
      const walk = begin(of);
      walk.submit(agent, 'pay');
      const { id, action } = walk.run.approvals[0] ?? assert.fail();
      const decision = { kind: 'decide', approval: id, decision: 'deny', digest: action.digest } as const;
      walk.run = give(walk.run, [], code).state;
      const ask = (by: Principal, body: Parameters<typeof message>[1]): EventResult =>
        walk.send({ kind: 'message', time: late, message: message(by, body, { time: late }) });
      for (const given of [
        ask(agent, submit),
        ask(robot, { kind: 'retry' }),
        ask(fay, { ...decision, reasonGiven: true }),
        walk.send({ kind: 'timeout', time: late }),
        walk.send({ kind: 'deadline', time: late, approval: id }),
      ]) {
        assert.deepEqual(
          [given.state.state, given.state.status, given.state.problem?.code],
          ['a', 'stuck', code],
        );
        assert.ok(given.effects.every((effect) => effect.kind === 'answer'));
      }
      const retried = ask(operator, { kind: 'retry' });
      assert.equal(answered(retried)[0]?.answer.status, 'accepted');
      assert.deepEqual(retried.trace.map(({ type }) => type).slice(-3), [
        'run.retried',
        'timeout.fired',
        'run.transitioned',
      ]);
      assert.deepEqual([walk.run.state, walk.run.executing?.action.transition], ['late', 'onEnter:late']);
    }
  });

  it('holds what may have happened, also once that is approved again, until an operator has the run go on; then nobody is asked twice', () => {
    const keyless: Executor = { ...rest, idempotencyKey: false };
    const stuckOnPay = (): { readonly walk: Walk; readonly repeat: string } => {
      const walk = begin(
        plan([state('a', [transition('pay', 'b', { executor: keyless, gate: gate() })]), state('b')]),
      );
      walk.submit(agent, 'pay');
      approve(walk);
      walk.outcome({ status: 'unknown', message: 'lost' });
      operate(walk, 'retry');
      const repeat = walk.run.approvals.find(({ status }) => status === 'open');
      assert.equal(repeat?.repeats, true);
      walk.run = give(walk.run, [], 'HISTORY_FORKED', 's9.forked').state;
      return { walk, repeat: repeat.id };
    };
    const retried = { kind: 'message', time, message: message(operator, { kind: 'retry' }) } as const;
    const approvedFirst = stuckOnPay();
    const approved = approvedFirst.walk.decide(fay, approvedFirst.repeat, 'approve');
    assert.equal(answered(approved)[0]?.answer.status, 'accepted');
    assert.deepEqual([approved.state.executing, approved.state.problem?.code], [null, 'HISTORY_FORKED']);
    const started = approvedFirst.walk.send(retried);
    assert.equal(started.state.executing?.action.approval, approvedFirst.repeat);
    assert.ok(started.trace.every(({ type }) => type !== 'human.approval.requested'));

    const { walk, repeat } = stuckOnPay();
    walk.send(retried);
    // The run waits for that approval only, as before it was given up.
    assert.deepEqual([walk.run.status, walk.run.problem?.code], ['stuck', 'EXECUTOR_UNKNOWN']);
    assert.match(walk.run.problem?.message ?? '', /^whether `pay` was done is not known: it threw$/);
    assert.equal(walk.run.approvals.filter(({ status }) => status === 'open').length, 1);
    walk.decide(fay, repeat, 'approve');
    assert.equal(walk.run.executing?.action.approval, repeat);
  });

  it('can be stored, and is whole, whatever the run was', () => {
    fc.assert(
      fc.property(story, fc.string({ unit: 'grapheme' }), (told, why) => {
        for (const { decision } of play(told)) {
          const given = giveUp(decision.state, {
            ...{ code: 'STEP_FAILED', key: 'k', time, start: null, messages: ['msg_x'] },
            why: why.toWellFormed(),
          });
          assert.doesNotThrow(() => canonical(given.state));
          const { status, executing, waitingAnswer, stuckOn } = given.state;
          if (closedStatuses.includes(decision.state.status)) assert.equal(given.state, decision.state);
          else
            assert.deepEqual(
              [status, executing, waitingAnswer, stuckOn !== null],
              ['stuck', null, null, true],
            );
          assert.ok(given.effects.every((effect) => effect.kind === 'answer'));
        }
      }),
      { numRuns: 100 },
    );
  });
});
