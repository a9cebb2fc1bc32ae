import type { Json } from './values/json.js';
import type { Principal, PrincipalKind } from './principal.js';

/** Types of the record that closes a run's chain: no record follows it. */
export const closingTypes = ['run.completed', 'run.cancelled', 'run.failed', 'run.timed_out'] as const;

export const recordTypes = [
  'run.started',
  'transition.requested',
  'policy.blocked',
  'guard.evaluated',
  'transition.rejected',
  'human.approval.requested',
  'approval.notified',
  'approval.viewed',
  'approval.claimed',
  'approval.released',
  'approval.delegated',
  'approval.decided',
  'approval.refused',
  'approval.reminded',
  'approval.escalated',
  'approval.expired',
  'approval.revoked',
  'approval.consumed',
  'executor.started',
  'executor.retrying',
  'executor.succeeded',
  'executor.failed',
  'executor.unknown',
  'evidence.recorded',
  'mapping.unresolved',
  'run.transitioned',
  'transition.branched',
  'chain.step',
  'run.stuck',
  'run.retried',
  ...closingTypes,
  'timeout.fired',
  'message.refused',
  'key.created',
  'key.revoked',
  'signing_key.made',
  'signing_key.retired',
  'api.called',
  'flow.published',
  'flow.withdrawn',
  'flow.promoted',
  'policy.reloaded',
  'credential.issued',
  'credential.revoked',
  'injection.flagged',
  'absence.set',
  'absence.cleared',
  'authn.failed',
  'authz.denied',
  'request.refused',
  'service.started',
] as const;
export type RecordType = (typeof recordTypes)[number];

export function closesRun(type: string): boolean {
  return (closingTypes as readonly string[]).includes(type);
}

export interface RecordActor {
  readonly kind: PrincipalKind | 'runtime' | 'anonymous';
  readonly id: string;
  readonly roles?: readonly string[];
}

/** A principal as records name it. */
export function principalActor({ kind, id, roles }: Principal): RecordActor {
  return { kind, id, roles };
}

/** A reference to a payload (prompt, arguments, output, reason), which is stored encrypted and apart from the record. */
export interface PayloadRef {
  readonly role:
    'prompt' | 'response' | 'args' | 'output' | 'error' | 'trace' | 'reason' | 'input' | 'preview';
  /** Hex HMAC-SHA-256 of the bytes under a random salt that is encrypted with them. */
  readonly commit: string;
  readonly bytes: number;
  readonly media: string;
  /** Id of the payload row. */
  readonly payload: string;
  readonly masked: readonly string[];
}

/**
 * A fact to be recorded, as the engine or an activity asserts it. The audit room adds its chain, its position there and the time of
 * recording. `key` is deterministic: a fact that is written twice is one record; the same key with another fact raises an alarm.
 */
export interface Fact {
  readonly key: string;
  readonly type: RecordType;
  /** ISO 8601 UTC: when it happened. */
  readonly time: string;
  readonly actor: RecordActor;
  readonly permission?: string;
  readonly policy?: { readonly rule: string; readonly verdict: string; readonly reason: string };
  readonly action?: {
    readonly id?: string;
    readonly transition: string;
    readonly tool?: string;
    readonly tier?: string;
    readonly digest?: string;
  };
  readonly approval?: string;
  readonly attempt?: number;
  readonly causation?: string;
  /** Small typed details; numbers that are no integers are written as strings. */
  readonly data: { readonly [key: string]: Json };
  readonly refs?: readonly PayloadRef[];
}
