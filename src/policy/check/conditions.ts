import { conditionsOf } from '../../engine/guards.js';
import type { Mapping, State, Transition } from '../../engine/plan.js';
import { mostConditions, mostMapped, mostStateConditions } from '../../model/limits.js';
import { error, type Compiling, type Path } from '../compile/context.js';

// Limits of the conditions that are evaluated, and the values that are mapped, in one step: each condition is recorded, and
// whoever shares the worker waits until all are done.

export function checkConditionCount(to: Compiling, { guards, branches, gates }: Transition, at: Path): void {
  const asked = [...guards, ...branches.map(({ when }) => when), ...gates.flatMap(({ on }) => on ?? [])];
  if (conditionsOf(asked) > mostConditions)
    error(
      to,
      'TOO_LARGE',
      at,
      `its guards, branches and gates ask more than ${mostConditions} conditions: ask them in several steps`,
      'key',
    );
}

/** A step makes all that it writes at once: each value is looked up, joined, and recorded where it is missing. */
export function checkMappedCount(to: Compiling, output: readonly Mapping[], at: Path): void {
  const values = output.reduce((sum, { spec }) => sum + (spec.kind === 'set' ? 1 : spec.operands.length), 0);
  if (values > mostMapped)
    error(
      to,
      'TOO_LARGE',
      at,
      `its \`output\` reads or sets ${values} values, and ${mostMapped} are the most of one step: write them in several steps`,
      'key',
    );
}

/** The runtime evaluates the guards of all deterministic transitions of a state before it takes a transition. */
export function checkStateConditionCount(to: Compiling, { name, transitions }: State, at: Path): void {
  const own = transitions.filter(({ actor }) => actor === 'deterministic');
  if (conditionsOf(own.flatMap(({ guards }) => guards)) > mostStateConditions)
    error(
      to,
      'TOO_LARGE',
      at,
      `the deterministic transitions of \`${name}\` ask more than ${mostStateConditions} conditions at once: divide them among several states`,
      'key',
    );
}
