import type { Json, JsonObject } from '../model/json.js';
import type { ErrorClass } from '../model/errors.js';
import type { Connection } from '../model/policy-set.js';
import type { Place } from './answer/places.js';
import type { Told } from './masking/mask.js';

/** What a template may read when a call is built. */
export interface Scopes {
  readonly arguments: JsonObject;
  readonly context: JsonObject;
  readonly input: JsonObject;
}

/** Of which step of a state the call is: an onEnter has no arguments. */
export type At = 'transition' | 'onEnter';

/** A call with every template resolved: what the approver sees, no secret in it. A kind's own fields are its folder's. */
export interface Call {
  readonly kind: string;
  readonly connection?: string;
  readonly [own: string]: unknown;
}

export type Built<C extends Call = Call> = { readonly status: 'built'; readonly call: C } | Unresolved;

export type Unresolved =
  /** A path did not resolve: the call fails `permanent`, before anything is sent. */
  | { readonly status: 'unresolved'; readonly path: string; readonly message: string }
  /** It would be larger than its room, and was not made: it fails `permanent` like the other. */
  | { readonly status: 'too_large'; readonly message: string };

export interface RunContext {
  /** Null where the executor declares none. */
  readonly idempotencyKey: string | null;
  readonly timeoutMs: number;
  readonly signal: AbortSignal;
  /** False: the call changes nothing (`hasEffect` of the engine), and a lost answer is no unknown outcome. */
  readonly hasEffect: boolean;
  readonly connection: Connection | null;
  readonly baseDirectory: string;
  /** Where `env://` and `secret://` references are looked up; this process and `COUNTERSIGN_SECRETS` when absent. */
  readonly references?: ReferenceSource;
}

/** What a driver gets: a connection of its kind, whose references are resolved, and it can tell what a target wrote. */
export interface DriverContext<T extends Connection | null = Connection | null> extends RunContext {
  readonly connection: T;
  readonly told: Told;
}

export interface ReferenceSource {
  readonly env: Readonly<Record<string, string | undefined>>;
  /** Null: no folder of secrets is mounted. */
  readonly secretsDirectory: string | null;
}

export type ExecutorResult =
  | {
      readonly status: 'succeeded';
      /** `$.output.x`: what mappings read. */
      readonly output: Json;
      /** `$.response.x`: `{status, headers, body}` for rest, the same as output elsewhere. */
      readonly response: Json;
      /** Kinds of evidence that the executor records by itself. */
      readonly evidence: readonly string[];
      /** In `output`: numbers that no double holds, kept as text. */
      readonly exact?: readonly Place[];
      /** In `output`: where a resolved reference came back and was masked. */
      readonly masked?: readonly Place[];
      /** The same for what only `response` holds, such as headers. */
      readonly maskedResponse?: readonly Place[];
    }
  | {
      readonly status: 'failed';
      readonly errorClass: ErrorClass;
      /** Lower case, no secret, says what to do. */
      readonly message: string;
      readonly retryAfterMs?: number;
      readonly response?: Json;
      /** It was sent, has an effect, and nobody knows whether it happened. */
      readonly effectPossible?: boolean;
      /** The target answered with a failure of its own (5xx) that does not say that nothing happened. */
      readonly effectInDoubt?: boolean;
      /** A resolved reference stood in the message, and was masked. */
      readonly isMasked?: boolean;
    };

/**
 * What `run` rejects with when `RunContext.signal` aborts (a cancelled action, a worker that shuts down); any other
 * rejection is a bug. Recognise it with `isExecutorAborted`.
 */
export interface ExecutorAborted extends Error {
  readonly name: 'AbortError';
  /** The call had been sent, has an effect and carries no idempotency key: a person has to look. */
  readonly unknownOutcome: boolean;
}

/** Which program a connection starts, and where, on this machine, now. */
export interface Placed {
  /** Its command and its working directory are absolute, where there are such. */
  readonly connection: Connection;
  /** The file behind the command, and behind every link to it. Null: it starts none, or there is no such file. */
  readonly program: string | null;
}

/** One per kind, behind one shared test suite. */
export interface ExecutorDriver<C extends Call = Call, T extends Connection | null = Connection | null> {
  readonly kind: string;
  run(call: C, context: DriverContext<T>): Promise<ExecutorResult>;
  /** Of a kind whose connections start programs; `PATH` of its connection is resolved. */
  place?(connection: T & Connection, baseDirectory: string): Placed;
  /** Stops what it keeps between calls. */
  close?(): Promise<void>;
}
