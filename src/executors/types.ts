import type { Json, JsonObject } from '../model/values/json.js';
import type { ErrorClass } from '../model/contract/errors.js';
import type { Connection } from '../model/policy-set.js';
import type { Place } from './answer/places.js';
import type { Excerpts } from './masking/mask.js';

/** The values that a template may read when a call is built. */
export interface Scopes {
  readonly arguments: JsonObject;
  readonly context: JsonObject;
  readonly input: JsonObject;
}

/** Which step of a state makes the call. An onEnter has no arguments. */
export type At = 'transition' | 'onEnter';

/** A call with every template resolved, without secrets: what the approver sees. Each kind's folder declares its other fields. */
export interface Call {
  readonly kind: string;
  readonly connection?: string;
  readonly [own: string]: unknown;
}

export type Built<C extends Call = Call> = { readonly status: 'built'; readonly call: C } | Unresolved;

export type Unresolved =
  /** A path did not resolve: the call fails with class `permanent`, before anything is sent. */
  | { readonly status: 'unresolved'; readonly path: string; readonly message: string }
  /** The call would be larger than its room: it fails with class `permanent` as well, before anything is sent. */
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

/** What a driver gets: a connection of its kind with resolved references, and a safe way to quote what a target wrote. */
export interface DriverContext<T extends Connection | null = Connection | null> extends RunContext {
  readonly connection: T;
  readonly excerpts: Excerpts;
}

export interface ReferenceSource {
  readonly env: Readonly<Record<string, string | undefined>>;
  /** Null: there is no folder of secrets. */
  readonly secretsDirectory: string | null;
}

export type ExecutorResult =
  | {
      readonly status: 'succeeded';
      /** `$.output.x`: what mappings read. */
      readonly output: Json;
      /** `$.response.x`: `{status, headers, body}` for rest, the same as output elsewhere. */
      readonly response: Json;
      /** The kinds of evidence that are recorded for this success. */
      readonly evidence: readonly string[];
      /** In `output`: numbers that no double holds, kept as text. */
      readonly exact?: readonly Place[];
      /** In `output`: where a resolved reference came back and was masked. */
      readonly masked?: readonly Place[];
      /** Where a resolved reference was masked in what only `response` holds, such as headers. */
      readonly maskedResponse?: readonly Place[];
    }
  | {
      readonly status: 'failed';
      readonly errorClass: ErrorClass;
      /** In lower case, without secrets; says what to do. */
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

/** Which program a connection starts, and where, on this machine at this moment. */
export interface Located {
  /** Its command and its working directory are absolute, where they exist. */
  readonly connection: Connection;
  /** The file of the command, with all links followed. Null: the connection starts no program, or there is no such file. */
  readonly program: string | null;
}

/** Makes the calls of one kind. All drivers pass the same test suite. */
export interface ExecutorDriver<C extends Call = Call, T extends Connection | null = Connection | null> {
  readonly kind: string;
  run(call: C, context: DriverContext<T>): Promise<ExecutorResult>;
  /** For kinds whose connections start programs. A `PATH` in the connection's `env` has to be resolved before. */
  locate?(connection: T & Connection, baseDirectory: string): Located;
  /** Stops what the driver keeps between calls. */
  close?(): Promise<void>;
}
