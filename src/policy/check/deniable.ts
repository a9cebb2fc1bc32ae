import { gatesOf } from '../../engine/gates/gates.js';
import type { Plan, Transition } from '../../engine/plan.js';
import { defaultEnvironment } from '../../model/policy-set.js';
import { floorsOf } from '../../schema/kit.js';
import type { Compiling } from '../compile/context.js';

/**
 * Does the transition wait at a gate in its flow's environment, so that somebody may deny it? True also where that cannot be
 * told: where the text has errors, its tool or environment may be unknown.
 */
export function mayBeDenied(to: Compiling, plan: Plan, transition: Transition): boolean {
  const floors = floorsOf(to.catalog.policySet, plan.environment ?? defaultEnvironment);
  return floors === null || to.errors.length > 0 || gatesOf(transition, { floors }).length > 0;
}
