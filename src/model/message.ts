import type { JsonObject } from './json.js';
import type { Principal } from './principal.js';
import type { PayloadRef } from './records.js';

/** Where a human decides. Every door authenticates, shows and sends; the run's policy check alone decides. */
export const decisionDoors = ['rest', 'cli', 'batch', 'link', 'page', 'slack', 'callback'] as const;
export type DecisionDoor = (typeof decisionDoors)[number];

export const messageKinds = ['start', 'submit', 'decide', 'cancel', 'retry'] as const;
export type MessageKind = (typeof messageKinds)[number];

interface StartBody {
  readonly kind: 'start';
  readonly flow: string;
  readonly flowVersion: number;
  readonly planHash: string;
  readonly mode: 'live' | 'shadow';
  readonly traceId: string;
}

interface SubmitBody {
  readonly kind: 'submit';
  readonly transition: string;
  readonly expectedVersion: number | null;
}

interface DecideBody {
  readonly kind: 'decide';
  readonly approval: string;
  readonly decision: 'approve' | 'deny';
  readonly digest: string;
  /** The reason's text is a payload; this says whether one was given. */
  readonly reasonGiven: boolean;
  /** The door that it came through. */
  readonly via?: DecisionDoor | undefined;
}

interface OperateBody {
  readonly kind: 'cancel' | 'retry';
  /** Of a retry: `stuckAt` of the run when it was asked, null where it was not stuck. Absent: asked before that was kept. */
  readonly about?: string | null | undefined;
}

/** What is signed: the values of callers are payloads, which `refs` commit to. */
export type SignedBody = StartBody | SubmitBody | DecideBody | OperateBody;

/** What the engine decides on: the same with the values of callers. */
export type MessageBody =
  | (StartBody & { readonly environment: string; readonly input: JsonObject })
  | (SubmitBody & { readonly arguments: JsonObject })
  | DecideBody
  | OperateBody;

interface Envelope<Body> {
  readonly v: 1;
  /** Unique in the store for ever: a second message of that id is never taken. */
  readonly id: string;
  readonly run: string;
  /** ISO 8601 UTC: when it was asked. */
  readonly time: string;
  readonly principal: Principal;
  readonly body: Body;
  /** Input, arguments, reasons, prompts: stored with the message. */
  readonly refs: readonly PayloadRef[];
}

/** Of which the service signs the canonical form (docs/spec/semantics.md §7). */
export type SignedMessage = Envelope<SignedBody> & { readonly environment: string };

/** What enters the engine, once its signature and its payloads have been verified. */
export type Message = Envelope<MessageBody>;

/** The signed message as the store keeps it: the exact text that was signed. */
export interface SealedMessage {
  readonly id: string;
  readonly run: string;
  readonly kind: MessageKind;
  /** Canonical JSON of the SignedMessage. */
  readonly text: string;
  /** `sha256:<hex>` of `text`. */
  readonly digest: string;
  readonly keyId: string;
  /** base64url Ed25519 over the UTF-8 bytes of `text`. */
  readonly signature: string;
}

/** What a signal brings: a few hundred bytes that name a message of the store, whatever that holds. */
export type Bell = Pick<SealedMessage, 'id' | 'kind' | 'digest' | 'keyId' | 'signature'>;

export const messageRefusals = [
  'undecodable',
  'unsigned',
  'unknown_message',
  'bad_signature',
  'retired_key',
  'replayed',
  'wrong_run',
  'unread',
] as const;
export type MessageRefusal = (typeof messageRefusals)[number];
