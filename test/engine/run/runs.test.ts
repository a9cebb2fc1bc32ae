import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { decide, giveUp, initialRun, links } from '../../../src/engine/index.js';
import { whyInDoubt } from '../../../src/engine/effects/doubt.js';
import { readsArguments } from '../../../src/engine/guards.js';
import { isEnding } from '../../../src/engine/run/ending/ending.js';
import { closedStatuses, type RunState } from '../../../src/engine/state.js';
import { leastOf, runsOf } from '../../../testing/samples.js';
import { time } from '../walk.js';
import { object, principal } from '../generate.js';
import { answered, executed, kit, opening, play, story, type Step, type Story } from '../stories.js';

// What holds of every run, whatever its flow, whoever asks, and whatever happens in whatever order.

const always = (of: (steps: readonly Step[], told: Story) => void, numRuns = 400): void =>
  fc.assert(
    fc.property(story, (told) => of(play(told), told)),
    { numRuns: runsOf(numRuns) },
  );
const closed = (run: RunState): boolean => closedStatuses.includes(run.status);
const count = ({ decision }: Step, type: string): number =>
  decision.trace.filter((fact) => fact.type === type).length;

/** Does a person repeat, by a retry or a decision, an effect that may have happened? */
function repeats({ approvals }: RunState, event: Step['event']): boolean {
  if (event.kind !== 'message') return false;
  const { body } = event.message;
  if (body.kind !== 'decide') return body.kind === 'retry';
  return approvals.find(({ id }) => id === body.approval)?.repeats === true;
}

/** The run as it is given up after our own code has failed. */
function halted(run: RunState): RunState {
  const code = run.version % 2 === 0 ? 'HISTORY_FORKED' : 'STEP_FAILED';
  return giveUp(run, { code, key: 'halted', time, why: 'two pasts', start: null, messages: [] }).state;
}

/** The run without what people have decided, and what follows from that for those who are asked. */
function whereIs(run: RunState): object {
  const { approvals, evidence: _1, approvers: _2, denials: _3, ...other } = run;
  return { ...other, approvals: approvals.map(({ id }) => id) };
}

describe('every run', () => {
  it('gives the same states, effects and records when its events are told again, also from stored text', () => {
    always((steps, told) => {
      let run = initialRun(told.plan, 'sha256:p', opening(told));
      const plan = JSON.parse(JSON.stringify(told.plan)) as Story['plan'];
      for (const { event, decision, key } of steps) {
        assert.ok(run);
        const stored = JSON.parse(JSON.stringify({ run, event })) as { run: RunState; event: typeof event };
        const again = decide(plan, stored.run, stored.event, kit, key);
        assert.equal(JSON.stringify(again), JSON.stringify(decision));
        run = again.state;
      }
    });
  });

  it('begins nothing by whatever comes at the moment at which its time is up, or later, but what its `onTimeout` leads to, and a repeat that its move waits for', () => {
    let comes = 0;
    always((steps, { plan }) => {
      for (const { before: run, event, key } of steps) {
        if (run.deadline === null || closed(run)) continue;
        for (const [late, before] of [run, run, halted(run)].entries()) {
          const at = new Date(run.deadline + (late % 2)).toISOString();
          const { trace, effects } = decide(plan, before, { ...event, time: at }, kit, key);
          const begun = effects.filter((effect) => effect.kind === 'execute');
          const target = plan.onTimeout?.target ?? null;
          const moved = trace.some(
            ({ type, data }) =>
              type === 'run.transitioned' && data['transition'] === 'timeout' && data['to'] === target,
          );
          comes += 1;
          // The move waits for the outcome, which a person's retry may bring, once it is approved (docs/spec/semantics.md §5).
          const isRepeat = target !== null && whyInDoubt(before) !== null && repeats(before, event);
          assert.ok(begun.length === 0 || moved || isRepeat, JSON.stringify([event.kind, begun]));
          assert.ok(moved || isRepeat || trace.every(({ type }) => type !== 'human.approval.requested'));
        }
      }
    });
    assert.ok(comes > leastOf(500), `${comes}`);
  });

  it('is moved by nothing while it is halted, whatever comes and however late, but by an operator who has it go on or cancels it', () => {
    let goesOn = 0;
    always((steps, { plan }) => {
      for (const { before: run, event, key } of steps) {
        if (closed(run) || key === 's0') continue;
        const before = halted(run);
        for (const time of [event.time, new Date(run.deadline ?? 8e15).toISOString()]) {
          const decision = decide(plan, before, { ...event, time }, kit, key);
          const { state, effects, trace, actions } = decision;
          const body = event.kind === 'message' ? event.message.body.kind : null;
          const isTaken = answered(decision).some(({ answer }) => answer.status === 'accepted');
          if ((body === 'retry' || body === 'cancel') && isTaken) {
            goesOn += 1;
            continue;
          }
          assert.deepEqual(whereIs(state), whereIs(before));
          assert.ok(effects.every(({ kind }) => kind === 'answer'));
          assert.ok(actions.every(({ status }) => status === 'approved' || status === 'denied'));
          assert.ok(trace.every(({ type }) => type !== 'timeout.fired' && type !== 'approval.expired'));
        }
      }
    });
    assert.ok(goesOn > leastOf(20), `${goesOn}`);
  });

  it('is changed by a refusal in nothing', () => {
    always((steps) => {
      for (const { before, event, decision } of steps) {
        if (event.kind !== 'message') continue;
        const own = answered(decision).find((reply) => reply.messageId === event.message.id);
        if (own?.answer.status !== 'refused') continue;
        assert.deepEqual(decision.state, before);
        assert.deepEqual(
          [decision.effects.length, decision.actions.length],
          [1, 0],
          'a refusal has no effect but its answer',
        );
      }
    });
  });

  it('is changed by nothing that nobody vouches for, or that was taken before', () => {
    always((steps) => {
      for (const { before, event, decision } of steps) {
        if (event.kind !== 'refused_message') continue;
        assert.deepEqual(decision.state, before);
        assert.ok(decision.effects.every((effect) => effect.kind === 'answer'));
      }
    });
  });

  it('gives each message one answer', () => {
    always((steps) => {
      const said = new Set<string>();
      for (const { event, decision } of steps) {
        for (const { messageId } of answered(decision)) {
          assert.ok(!said.has(messageId));
          said.add(messageId);
        }
        const waits = decision.state.waitingAnswer?.messageId;
        if (event.kind === 'message' && event.message.id !== waits)
          assert.ok(said.has(event.message.id) || decision.state.executing !== null);
      }
    });
  });

  it('rises in version by one for each transition, each onEnter that ran and each timeout, by nothing else', () => {
    always((steps, { plan }) => {
      for (const step of steps) {
        const { before, decision } = step;
        const entered = decision.actions.filter(
          ({ action, status }) => action.transition.startsWith('onEnter:') && status === 'executed',
        ).length;
        // A time-out with a target is on record as the transition to it.
        const ended = plan.onTimeout === null ? count(step, 'timeout.fired') : 0;
        assert.equal(
          decision.state.version - before.version,
          count(step, 'run.transitioned') + entered + ended,
        );
      }
    });
  });

  it('begins a new stay exactly when it enters a state from another one', () => {
    always((steps, { plan }) => {
      for (const { before, decision } of steps) {
        const terminal = (name: unknown): boolean =>
          plan.states.find((state) => state.name === name)?.terminal === true;
        const left = decision.trace.filter(
          ({ type, data }) =>
            type === 'run.transitioned' && (data['from'] !== data['to'] || terminal(data['to'])),
        );
        assert.equal(decision.state.stay - before.stay, left.length);
      }
    });
  });

  it('is whole after every step: its status says what it is, and nobody waits for nothing', () => {
    always((steps) => {
      for (const { decision, event } of steps) {
        const run = decision.state;
        const open = run.approvals.filter(
          (approval) => approval.status === 'open' || approval.status === 'escalated',
        );
        const told = JSON.stringify([event, run]);
        if (run.executing !== null) assert.equal(run.status, 'running', told);
        else assert.equal(run.waitingAnswer, null, told);
        assert.equal(run.status === 'stuck', run.stuckOn !== null, told);
        if (run.status === 'stuck') assert.notEqual(run.problem, null, told);
        if (run.status === 'waiting') assert.ok(open.length > 0, told);
        if (run.status === 'running' && run.executing === null) assert.equal(open.length, 0, told);
        for (const approval of open) assert.equal(approval.action.stay, run.stay, told);
        if (closed(run)) assert.equal(open.length, 0, told);
      }
      const ends = steps.flatMap(({ decision }) =>
        decision.effects.filter((effect) => effect.kind === 'close'),
      );
      const last = steps.at(-1)?.decision.state;
      assert.deepEqual(
        ends,
        last !== undefined && closed(last) ? [{ kind: 'close', status: last.status }] : [],
      );
    });
  });

  it('stays ended once it has ended: nothing moves it, and nothing is executed', () => {
    always((steps) => {
      for (const { before, decision } of steps) {
        if (!closed(before)) continue;
        assert.deepEqual(decision.state, before);
        assert.ok(decision.effects.every((effect) => effect.kind === 'answer'));
      }
    });
  });

  it('executes one thing at a time, and what it executes is what it says that it executes', () => {
    always((steps) => {
      for (const { before, event, decision } of steps) {
        const effects = executed(decision);
        assert.ok(effects.length <= 1);
        if (before.executing !== null && event.kind !== 'outcome') assert.equal(effects.length, 0);
        if (effects[0] !== undefined) assert.deepEqual(decision.state.executing, effects[0].executing);
      }
    });
  });
});

describe('links', () => {
  /** Asks for every transition of the state in the run's name, and compares with what was listed. */
  const asked = (step: Step, told: Story, by: Story['by'], args: Story['input']): void => {
    const run = step.decision.state;
    const state = told.plan.states.find((state) => state.name === run.state);
    const filter = state?.linkFilter ?? told.plan.linkFilter;
    const listed = links(told.plan, run, by, { floors: [] });
    if (closed(run) || run.status === 'stuck' || isEnding(run)) return assert.deepEqual(listed, []);
    for (const transition of state?.transitions ?? []) {
      const link = listed.find((link) => link.rel === transition.name);
      const body = {
        ...{ kind: 'submit' as const, transition: transition.name, arguments: args },
        expectedVersion: link?.expectedVersion ?? null,
      };
      const message = { ...opening(told), id: 'msg_ask', principal: by, body };
      // The run as if nothing executed: while something does, whoever asks is only told to wait.
      const idle = { ...run, executing: null };
      const { decision } = {
        decision: decide(told.plan, idle, { kind: 'message', time, message }, kit, 'q'),
      };
      const answer = answered(decision).find((reply) => reply.messageId === 'msg_ask')?.answer;
      const code = answer?.status === 'refused' ? answer.code : null;
      const governed = code !== null && ['ACTOR_MISMATCH', 'BLOCKED', 'GUARD_REJECTED'].includes(code);
      if (transition.actor === 'deterministic') assert.equal(link, undefined);
      if (filter === 'all') continue;
      if (link !== undefined) assert.ok(!governed, `listed, and refused with ${String(code)}`);
      else if (!transition.guards.some(readsArguments)) assert.notEqual(code, null, 'hidden, and taken');
    }
  };

  it('under byGuards are exactly what actor, charter and guards do not refuse', () => {
    fc.assert(
      fc.property(story, principal, object, (told, by, args) => {
        for (const step of play({ ...told, plan: { ...told.plan, linkFilter: 'byGuards' } }))
          asked(step, told, by, args);
      }),
      { numRuns: runsOf(300) },
    );
  });
});
