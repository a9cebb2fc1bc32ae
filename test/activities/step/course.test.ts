import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { beginCourse, type OpenCourse } from '../../../src/activities/step/course.js';
import type { Incoming } from '../../../src/activities/step/arrivals.js';
import type { Executor, Plan } from '../../../src/engine/plan.js';
import type { ApprovalState, Event, Kit, RunState } from '../../../src/engine/state.js';
import type { MessageBody } from '../../../src/model/message.js';
import { gate, plan, state, transition } from '../../engine/build.js';
import { principal } from '../../engine/people.js';
import { begin, kit, message, succeeded, time } from '../../engine/walk.js';

// The events of one step: each moment once, whatever a store says of it, and what our own code throws over one of them.

const noop: Executor = { kind: 'noop', output: {} };
const of = plan([
  state('a', [
    transition('go', 'a', { gate: gate({ roles: [], queue: 'controllers' }) }),
    transition('do', 'a', { executor: noop }),
  ]),
]);
const agent = principal('bot', 'agent');

function parked(): RunState & { readonly approvals: readonly [ApprovalState] } {
  const walk = begin(of);
  walk.submit(agent, 'go');
  const [approval] = walk.run.approvals;
  assert.ok(approval !== undefined);
  return { ...walk.run, approvals: [approval] };
}

function executing(): RunState {
  const walk = begin(of);
  walk.submit(agent, 'do');
  return walk.run;
}

function fails(): never {
  throw new TypeError('a bug of ours');
}

/** The engine fails over whatever asks for it. */
const broken: Kit = { ...kit, queueRoles: fails, digest: fails, validate: fails };

interface Told {
  readonly course: OpenCourse;
  readonly failed: readonly string[];
}

function courseOf(first: RunState, hands: Kit = kit, by: Plan = of): Told {
  const failed: string[] = [];
  const onInternalError = (what: string, error: unknown): void =>
    void failed.push(`${what}: ${String(error)}`);
  return {
    course: beginCourse(
      { plan: by, kit: hands, time: '2026-12-31T00:00:00.000Z', onInternalError },
      first,
      2,
    ),
    failed,
  };
}

function incoming(event: Event): Incoming {
  return { event: () => event, taken: null, answer: null, values: [] };
}

function asked(body: MessageBody, by = agent): Incoming {
  return incoming({ kind: 'message', time, message: message(by, body) });
}

describe('what is due in a step', () => {
  it('is decided, and the step goes on to what is due next', () => {
    const { course } = courseOf({ ...parked(), deadline: 1 });
    course.takeDue();
    assert.equal(course.finish().after.status, 'timed_out');
  });

  it('fails the step where nothing comes of it, and is not asked for again and again', () => {
    const run = parked();
    const [approval] = run.approvals;
    let looks = 0;
    const twin = {
      ...approval,
      get timer(): number {
        looks += 1;
        return 1;
      },
    };
    const { course } = courseOf({ ...run, approvals: [{ ...approval, status: 'denied' }, twin] });
    assert.throws(() => course.takeDue(), /is due stays due/);
    assert.ok(looks < 20, String(looks));
  });
});

describe('what the engine throws', () => {
  it('over time fails the step, so that no timer asks for it again for ever', () => {
    const run = parked();
    const [approval] = run.approvals;
    const own: Plan = {
      ...of,
      get onTimeout() {
        return fails();
      },
    };
    for (const { course, failed } of [
      courseOf({ ...run, approvals: [{ ...approval, timer: 1 }] }, broken),
      courseOf({ ...run, deadline: 1 }, kit, own),
    ]) {
      assert.throws(() => course.takeDue(), /a bug of ours/);
      // The activity tells it, as often as it is tried.
      assert.deepEqual(failed, []);
    }
  });

  it('over a start fails the step: the run would pass for begun', () => {
    const start = { kind: 'start', mode: 'live', environment: 'dev', traceId: 't', input: {} } as const;
    const { course } = courseOf(parked(), broken);
    const flow = { flow: 'f', flowVersion: 1, planHash: 'sha256:p' };
    assert.throws(() => course.take(asked({ ...start, ...flow })), /a bug of ours/);
  });

  it('over what somebody asks refuses it, on record, and is told as an internal error', () => {
    const run = parked();
    const [{ id: approval }] = run.approvals;
    const bodies: readonly MessageBody[] = [
      { kind: 'submit', transition: 'go', arguments: {}, expectedVersion: null },
      { kind: 'decide', approval, digest: 'sha256:d', decision: 'approve', reasonGiven: true },
    ];
    for (const body of bodies) {
      const { course, failed } = courseOf(run, broken);
      course.take(asked(body, body.kind === 'decide' ? principal('fay') : agent));
      const { effects, facts, after } = course.finish();
      const [said, ...more] = effects.map((effect) => (effect.kind === 'answer' ? effect.answer : null));
      assert.deepEqual([said?.status === 'refused' && said.code, more], ['INTERNAL', []], body.kind);
      assert.equal(after, run);
      assert.deepEqual(
        facts.map(({ type }) => type),
        ['message.refused'],
      );
      assert.equal(failed.length, 1);
      assert.match(failed[0] ?? '', new RegExp(`run \`run_1\` \\(${body.kind}\\).*a bug of ours`));
    }
  });

  it('over an outcome leaves it to a person, on record, and is told as an internal error', () => {
    const run = executing();
    const { course, failed } = courseOf(run, broken);
    course.take(
      incoming({ kind: 'outcome', time, action: run.executing?.action.id ?? '', result: succeeded }),
    );
    const { after } = course.finish();
    assert.deepEqual([after.status, after.problem?.code, failed.length], ['stuck', 'EXECUTOR_UNKNOWN', 1]);
  });
});
