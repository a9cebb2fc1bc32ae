import assert from 'node:assert/strict';
import type { EventResult } from '../../../src/engine/state.js';
import { plan, state, transition, type Fields } from '../../engine/build.js';
import { agent } from '../../engine/people.js';
import { begin, type Walk } from '../../engine/walk.js';
import type { Guard, Plan } from '../../../src/engine/plan.js';
import type { JsonObject } from '../../../src/model/values/json.js';

// Refused, nothing changed, and recorded: what every cell of the engine's rows has to show.

type Body = Readonly<Record<string, unknown>>;

/** What a plan read back from the store could hold, whatever the types say. */
export function odd<T>(value: unknown): T {
  return value as T;
}

export function answers(decision: EventResult): Body[] {
  return decision.effects.flatMap((one) => (one.kind === 'answer' ? [one.answer as unknown as Body] : []));
}

export function recorded(decision: EventResult, type: string): Body[] {
  return decision.trace.filter((fact) => fact.type === type).map((fact) => fact as unknown as Body);
}

/** Does it, and demands that it was refused with the code, changed nothing and left a record of the type. */
export function refuses(
  walk: Walk,
  act: (walk: Walk) => EventResult,
  code: string,
  type: string,
): EventResult {
  const before = walk.run;
  const decision = act(walk);
  const said = answers(decision);
  assert.deepEqual(
    said.map((one) => [one['status'], one['code']]),
    [['refused', code]],
  );
  assert.deepEqual(walk.run, before, 'a refusal changes nothing');
  assert.equal(decision.effects.length, 1, 'a refusal has no effect but its answer');
  const records = recorded(decision, type);
  assert.equal(records.length, 1, `one record \`${type}\`, not ${JSON.stringify(decision.trace)}`);
  assert.ok(JSON.stringify(records).includes(code) || type === 'message.refused');
  return decision;
}

/** The run waits for an operator, and its record says why. */
export function isStuck(walk: Walk, code: string): void {
  assert.deepEqual([walk.run.status, walk.run.problem?.code], ['stuck', code]);
  assert.equal(walk.run.executing, null);
  const records = recorded(walk.last, 'run.stuck');
  assert.deepEqual(
    records.map((one) => (one['data'] as JsonObject)['code']),
    [code],
  );
}

/** A run before one transition that has these fields. */
export function facing(fields: Fields, of: Partial<Plan> = {}): Walk {
  return begin(plan([state('a', [transition('go', 'b', fields), transition('stay', 'a')]), state('b')], of));
}

/** The guard refuses a submit by an agent that holds nothing, with the verdict on record. */
export function guardRefuses(
  guard: Guard,
  verdict: 'fail' | 'error',
  args: JsonObject = {},
  who = agent,
): void {
  const walk = facing({ guards: [guard] });
  const decision = refuses(walk, () => walk.submit(who, 'go', args), 'GUARD_REJECTED', 'transition.rejected');
  const [evaluated] = recorded(decision, 'guard.evaluated');
  assert.equal((evaluated?.['policy'] as JsonObject)['verdict'], verdict);
}
