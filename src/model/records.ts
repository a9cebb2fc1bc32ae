import type { Json } from './json.js';
import type { PrincipalKind } from './principal.js';

/** Nothing follows them in a run's chain. */
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

/** Where a payload (prompt, arguments, output, reason) is kept, encrypted and apart from the record. */
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
 * One fact to be recorded: what the engine or an activity asserts. The audit room adds chain, time
 * of recording and place. `key` is deterministic: the same fact written twice is one record; the
 * same key with another fact raises an alarm.
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
  /** Small typed facts; numbers that are no integers are written as strings. */
  readonly data: { readonly [key: string]: Json };
  readonly refs?: readonly PayloadRef[];
}
