import { gatesOf } from '../../engine/gates/gates.js';
import type { Plan, Transition } from '../../engine/plan.js';
import { defaultEnvironment } from '../../model/policy-set.js';
import { floorsOf } from '../../schema/kit.js';
import type { Compiling } from '../compile/context.js';

/**
 * Does it wait where its flow lives, so that somebody may deny it? So it is taken to where that cannot be told, because
 * something of the text is an error: its tool or environment may be unknown.
 */
export function mayBeDenied(to: Compiling, plan: Plan, transition: Transition): boolean {
  const floors = floorsOf(to.catalog.policySet, plan.environment ?? defaultEnvironment);
  return floors === null || to.errors.length > 0 || gatesOf(transition, { floors }).length > 0;
}
