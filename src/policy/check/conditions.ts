import { conditionsOf } from '../../engine/guards.js';
import type { State, Transition } from '../../engine/plan.js';
import { mostConditions, mostStateConditions } from '../../model/limits.js';
import { error, type Compiling, type Path } from '../compile/context.js';

// How many conditions are asked in one piece: each is on record, and whoever shares the worker waits for all of them.

export function checkConditionsOf(to: Compiling, { guards, branches, gates }: Transition, at: Path): void {
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

/** All of them are asked before the runtime takes one. */
export function checkConditionsIn(to: Compiling, { name, transitions }: State, at: Path): void {
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
