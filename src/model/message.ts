import type { JsonObject } from './json.js';
import type { Principal } from './principal.js';
import type { PayloadRef } from './records.js';

/** Where a human decides. Every door authenticates, shows and sends; the run's policy check alone decides. */
export const decisionDoors = ['rest', 'cli', 'batch', 'link', 'page', 'slack', 'callback'] as const;
export type DecisionDoor = (typeof decisionDoors)[number];

/**
 * What enters a run. The API signs the canonical form of `message` with the service's Ed25519 key;
 * the run's policy check verifies it before anything else (SEMANTICS §7).
 */
export type MessageBody =
  | {
      readonly kind: 'start';
      readonly flow: string;
      readonly flowVersion: number;
      readonly planHash: string;
      readonly environment: string;
      readonly mode: 'live' | 'shadow';
      readonly traceId: string;
      readonly input: JsonObject;
    }
  | {
      readonly kind: 'submit';
      readonly transition: string;
      readonly arguments: JsonObject;
      readonly expectedVersion: number | null;
    }
  | {
      readonly kind: 'decide';
      readonly approval: string;
      readonly decision: 'approve' | 'deny';
      readonly digest: string;
      /** The reason's text is a payload; this says whether one was given. */
      readonly reasonGiven: boolean;
      /** The door that it came through; absent in messages of before there were several. */
      readonly via?: DecisionDoor | undefined;
    }
  | { readonly kind: 'cancel' }
  | { readonly kind: 'retry' };

export interface Message {
  readonly v: 1;
  /** Deduplicated by the run: twice the same id, the same answer. */
  readonly id: string;
  /** Unique per sending (update, signal, a retry of the signal): the same one twice is a replay. */
  readonly delivery: string;
  readonly run: string;
  /** ISO 8601 UTC. */
  readonly time: string;
  readonly principal: Principal;
  readonly body: MessageBody;
  /** Arguments, reasons, prompts: stored before the message is sent. */
  readonly refs: readonly PayloadRef[];
}

export interface AttestedMessage {
  readonly message: Message;
  readonly keyId: string;
  /** base64url Ed25519 over the UTF-8 bytes of canonical(message). */
  readonly signature: string;
}

export const messageRefusals = [
  'undecodable',
  'unsigned',
  'bad_signature',
  'retired_key',
  'replayed',
  'wrong_run',
] as const;
export type MessageRefusal = (typeof messageRefusals)[number];
