import type { JsonObject } from './values/json.js';
import type { Principal } from './principal.js';
import type { PayloadRef } from './records.js';

/** The doors by which a human decides. A door authenticates, shows and sends; only the run's policy check decides. */
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
  /** The door by which the decision came. */
  readonly via?: DecisionDoor | undefined;
}

interface OperateBody {
  readonly kind: 'cancel' | 'retry';
  /** For a retry: the run's `stuckAt` when it was asked for; null: the run was not stuck. Absent in messages of versions that did not store it. */
  readonly about?: string | null | undefined;
}

/** The body that is signed. Callers' values are not in it; they are payloads, to which `refs` commit. */
export type SignedBody = StartBody | SubmitBody | DecideBody | OperateBody;

/** The body on which the engine decides, with callers' values. */
export type MessageBody =
  | (StartBody & { readonly environment: string; readonly input: JsonObject })
  | (SubmitBody & { readonly arguments: JsonObject })
  | DecideBody
  | OperateBody;

interface Envelope<Body> {
  readonly v: 1;
  /** Unique in the store for ever: a second message with the same id is never taken. */
  readonly id: string;
  readonly run: string;
  /** ISO 8601 UTC: when it was asked. */
  readonly time: string;
  readonly principal: Principal;
  readonly body: Body;
  /** References to input, arguments, reasons and prompts, which are stored with the message. */
  readonly refs: readonly PayloadRef[];
}

/** The message whose canonical form the service signs (docs/spec/semantics.md §7). */
export type SignedMessage = Envelope<SignedBody> & { readonly environment: string };

/** A message for the engine, whose signature and payloads have been verified. */
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

/** The content of a signal: a few hundred bytes that name a message of the store, however large that is. */
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
