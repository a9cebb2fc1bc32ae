import { conditionsOf } from '../../engine/guards.js';
import type { Mapping, State, Transition } from '../../engine/plan.js';
import { mostConditions, mostMapped, mostStateConditions } from '../../model/limits.js';
import { error, type Compiling, type Path } from '../compile/context.js';

// How many conditions are asked, and values mapped, in one piece: each condition is on record, and whoever shares the worker
// waits for all of them.

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

/** Each value is looked up, joined and perhaps told to be missing: what a step writes is made in one piece. */
export function checkMapped(to: Compiling, output: readonly Mapping[], at: Path): void {
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
