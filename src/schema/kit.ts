import { hash } from 'node:crypto';
import { canonical } from '../model/canonical.js';
import { defaultGateTimeoutMs, type PolicySet } from '../model/policy-set.js';
import type { Kit } from '../engine/state.js';
import { compileSchema } from './index.js';

export function sha256(text: string): string {
  return `sha256:${hash('sha256', text)}`;
}

/** The engine's hands for one environment, in the service and in a simulation: hashing, JSON Schema, queues, default deadlines. */
export function makeKit(policySet: PolicySet, environment: string): Kit {
  return {
    digest: (value) => sha256(canonical(value)),
    validate: (schema, value) => {
      const compiled = compileSchema(schema);
      if (compiled.status === 'invalid')
        return { status: 'invalid', errors: [{ pointer: '', message: compiled.message }] };
      const checked = compiled.validate(value);
      return checked.status === 'valid' ? { status: 'valid', value: checked.value } : checked;
    },
    queueRoles: (queue) => policySet.queues.find((one) => one.name === queue)?.roles ?? [],
    gateTimeoutMs:
      policySet.environments.find((one) => one.name === environment)?.gateTimeoutMs ?? defaultGateTimeoutMs,
  };
}
