import type { z } from 'zod';
import type { Room } from '../engine/effects/room.js';
import type { CallExecutor, FixedExecutor, Path } from '../engine/plan.js';
import type { Json, JsonObject } from '../model/values/json.js';
import type { Connection } from '../model/policy-set.js';
import type { CompiledConnection } from '../policy/check/addresses.js';
import type { Compiling, Path as Place } from '../policy/compile/context.js';
import type { At, Built, Call, Scopes, Unresolved } from './types.js';

/**
 * What a kind of executor is, before anything is called: pure, so that a check, a run on paper and a run that calls say the
 * same. `kinds.ts` lists the kinds; calls are made by each kind's driver. `S`: an executor as it is written, `E`: as a plan has it.
 */
export interface Kind<
  S extends object = object,
  E extends CallExecutor | FixedExecutor = CallExecutor | FixedExecutor,
  C extends Call = Call,
> {
  readonly kind: string;
  /** What it calls over; null: it calls nothing. */
  readonly connection: ConnectionKind | null;
  /** The keys of this kind alone, beside those that every executor may have. */
  readonly shape: z.ZodRawShape;
  /** The kind of evidence that a call of it records when it has succeeded; null: none. */
  readonly evidence: string | null;
  /** What of this kind may be a read on its author's word alone, as messages name it: `a command`. Null: nothing. */
  readonly readByWord: string | null;
  /** Compiles the fields of this kind. Problems are reported to `to`. */
  compile(to: Compiling, shape: S, path: Place): Own<E>;
  /** Every path that its templates read. */
  paths(executor: E): readonly Path[];
  /** Is every call of this executor a read, whatever its author says? Asked for each attempt. Absent: no. */
  isRead?(executor: E): boolean;
  /** What an author has to be told who says that this executor only reads. */
  reading(executor: E): Reading;
  build(executor: E, scopes: Scopes, at: At, room: Room): Built<C>;
  /** Why a call that is said to change nothing may not be a read as it would be sent; null: nothing says so. Absent: calls of this kind never do. */
  refusedRead?(executor: E, call: C): Unresolved | null;
  /** Why the call does not fit a connection that sends these headers with it; null: it fits. Absent: calls of this kind always fit. */
  unfit?(call: C, sentWith: Headers): Unresolved | null;
  /** What the approver sees: the call as it will be sent, without what its connection adds. */
  preview(call: C): JsonObject;
  /** What the executor does, in words, for the reader of a version's changes. */
  words(executor: E): string;
  /** For a simulation: the call in one line, and its body or arguments. `call` is null where it cannot be made. */
  outline(executor: E, call: C | null): { readonly call: string; readonly sends: Json };
  /** The response that usually comes with an output. Absent: the output itself. */
  response?(output: Json): Json;
}

export type Headers = readonly (readonly [name: string, value: string])[];

type Own<E> = Omit<E, 'kind' | 'connection' | 'idempotencyKey'>;

/** What speaks against the claim that an executor only reads. Both null: nothing. */
export interface Reading {
  /** Why the executor is no read, whatever its author says. */
  readonly writes: string | null;
  /** What may change something unless the author says why it does not. Without that reason the executor is refused, or warned of. */
  readonly unproven: { readonly what: string; readonly isRefused: boolean } | null;
}

export interface ConnectionKind<S extends object = object, T extends Connection = Connection> {
  readonly shape: z.ZodRawShape;
  /** The key of the connection's address; null: such a connection has no address. */
  readonly address: string | null;
  compile(shape: S): CompiledConnection<T>;
  texts(connection: T): ConnectionTexts;
  /** The same connection with other texts. */
  withTexts(connection: T, texts: ConnectionTexts): T;
}

/** The texts of a connection that may be references: its address, the values of its headers and of its command's environment. */
interface ConnectionTexts {
  readonly address: string | null;
  readonly headers: Readonly<Record<string, string>>;
  readonly env: Readonly<Record<string, string>>;
}
