import type { PolicySet } from '../model/policy-set.js';
import type { Kit } from '../engine/state.js';
import { makeKit as makeKitWith, type FlowPeople } from '../schema/kit.js';
import { show } from './show.js';

export { sha256 } from '../schema/kit.js';

/** The kit that a simulation decides with, and what the approver gets: only here are there executors to say it. */
export function makeKit(policySet: PolicySet, environment: string, people: FlowPeople): Kit {
  return makeKitWith(policySet, environment, people, show);
}
