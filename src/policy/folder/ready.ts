import { canonical } from '../../model/values/canonical.js';
import { sha256 } from '../../schema/kit.js';
import type { CompiledFlow, FlowCheck } from '../checker/check-text.js';
import { queuesNamedAlone } from './removed.js';

/**
 * A flow as it is stored. Its plan may have megabytes: as text it is passed on in milliseconds, without being parsed by the
 * process that serves.
 */
export interface ReadyFlow extends Omit<CompiledFlow, 'plan' | 'definition'> {
  /** Both in canonical form, which `hash` and `planHash` are over. */
  readonly definition: string;
  readonly plan: string;
  readonly hash: string;
  readonly planHash: string;
  /** Queues whose roles alone decide: of gates and `human` executors that name no role (`queuesNamedAlone`). */
  readonly queues: readonly string[];
}

export type ReadyCheck =
  { readonly status: 'valid'; readonly flow: ReadyFlow } | Extract<FlowCheck, { readonly status: 'invalid' }>;

export function toReadyFlow({ plan, definition, ...flow }: CompiledFlow): ReadyFlow {
  const [planText, definitionText] = [canonical(plan), canonical(definition)];
  return {
    ...flow,
    definition: definitionText,
    plan: planText,
    hash: sha256(definitionText),
    planHash: sha256(planText),
    queues: queuesNamedAlone(plan),
  };
}

export function toReadyCheck(checked: FlowCheck): ReadyCheck {
  return checked.status === 'valid' ? { status: 'valid', flow: toReadyFlow(checked.flow) } : checked;
}
