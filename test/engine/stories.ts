import fc from 'fast-check';
import type { JsonObject } from '../../src/model/values/json.js';
import type { Message } from '../../src/model/message.js';
import type { Principal } from '../../src/model/principal.js';
import { decide, initialRun } from '../../src/engine/index.js';
import type { Plan } from '../../src/engine/plan.js';
import type { Answer, EventResult, Event, Kit, RunState } from '../../src/engine/state.js';
import { gate } from './build.js';
import { kit as plainKit, time } from './walk.js';
import { eventOf, flow, happening, object, principal, type Happening } from './generate.js';

// Random runs: a flow, who starts it with what, and what happens to it, step by step.

export interface Story {
  readonly plan: Plan;
  readonly by: Principal;
  readonly input: JsonObject;
  readonly happenings: readonly Happening[];
}

export const story: fc.Arbitrary<Story> = fc.record({
  plan: flow,
  by: principal,
  input: object,
  happenings: fc.array(happening, { minLength: 6, maxLength: 25, size: 'max' }),
});

export interface Step {
  readonly before: RunState;
  readonly event: Event;
  readonly decision: EventResult;
  readonly key: string;
}

/** A schema here says how many arguments there may be. */
export const kit: Kit = {
  ...plainKit,
  // A floor, which no author can go below: what cannot be undone takes a person.
  floors: [{ tiers: ['irreversible'], gate: gate({ roles: ['r2'], because: ['environment'] }) }],
  validate: (schema, value) =>
    Object.keys(value).length > Number(schema['maxProperties'] ?? 99)
      ? { status: 'invalid', errors: [{ pointer: '', message: 'has too many names' }] }
      : { status: 'valid', value },
};

export function opening({ plan, by, input }: Story): Message {
  return {
    ...{ v: 1, id: 'msg_0', run: 'run_1', time, principal: by, refs: [] },
    body: {
      ...{ kind: 'start', flow: plan.name, flowVersion: 1, planHash: 'sha256:p' },
      ...{ environment: 'dev', mode: 'live', traceId: 't', input },
    },
  };
}

/** Plays everything that happens, event by event. Values are frozen: nothing may write into what it is given. */
export function play(told: Story): Step[] {
  const start = opening(told);
  const plan = frozen(told.plan);
  const first = initialRun(plan, 'sha256:p', start);
  if (first === null) throw new Error('a start starts a run');
  const steps: Step[] = [];
  const earlier: Message[] = [start];
  let run = first;
  const happen = (event: Event): void => {
    const key = `s${steps.length}`;
    const decision = decide(plan, frozen(run), frozen(event), kit, key);
    steps.push({ before: run, event, decision, key });
    run = decision.state;
  };
  happen({ kind: 'message', time, message: start });
  for (const [index, happens] of told.happenings.entries()) {
    const event = eventOf(run, happens, index + 1, earlier);
    if (event.kind === 'message' && !earlier.some((message) => message.id === event.message.id))
      earlier.push(event.message);
    happen(event);
  }
  return steps;
}

function frozen<T>(value: T): T {
  if (typeof value !== 'object' || value === null || Object.isFrozen(value)) return value;
  Object.freeze(value);
  for (const item of Object.values(value)) frozen(item);
  return value;
}

/** Every answer that an event gives, with the message that it answers. */
export function answered(decision: EventResult): { readonly messageId: string; readonly answer: Answer }[] {
  return decision.effects.flatMap((effect) => (effect.kind === 'answer' ? [effect] : []));
}

export function executed(
  decision: EventResult,
): Extract<EventResult['effects'][number], { kind: 'execute' }>[] {
  return decision.effects.flatMap((effect) => (effect.kind === 'execute' ? [effect] : []));
}
