import type { z } from 'zod';
import type { Room } from '../engine/effects/room.js';
import type { CallExecutor, FixedExecutor, Path } from '../engine/plan.js';
import type { Json, JsonObject } from '../model/json.js';
import type { Connection } from '../model/policy-set.js';
import type { Made } from '../policy/check/addresses.js';
import type { Compiling, Path as Place } from '../policy/compile/context.js';
import type { At, Built, Call, Scopes, Unresolved } from './types.js';

/**
 * What a kind of executor is, before anything is called: pure, so that a check and a run on paper say the same as one that
 * calls. `table.ts` lists the kinds; what calls is each kind's driver. `S`: an executor as it is written, `E`: as a plan has it.
 */
export interface Kind<
  S extends object = object,
  E extends CallExecutor | FixedExecutor = CallExecutor | FixedExecutor,
  C extends Call = Call,
> {
  readonly name: string;
  /** What it calls over; null: it calls nothing. */
  readonly connection: ConnectionKind | null;
  /** The keys of its own; those that every executor may have are beside them. */
  readonly shape: z.ZodRawShape;
  /** The kind of evidence that it records by itself when it has succeeded. */
  readonly evidence: string | null;
  /** What of it may be a read on its author's word alone: `a command`. Null: nothing. */
  readonly readByWord: string | null;
  /** The fields of its own. Problems are told to `to`. */
  compile(to: Compiling, shape: S, path: Place): Own<E>;
  /** Every path that its templates read. */
  paths(executor: E): readonly Path[];
  /** Is every call of it a read, whatever its author says? Asked for each attempt. Absent: none is. */
  isRead?(executor: E): boolean;
  /** What its author has to be told who calls it a read. */
  reading(executor: E): Reading;
  build(executor: E, scopes: Scopes, at: At, room: Room): Built<C>;
  /** Of a call that is said to change nothing: why it may be no read as it would be sent. Absent: nothing in a call tells. */
  refusedRead?(executor: E, call: C): Unresolved | null;
  /** Why a connection that sends these headers with the call cannot carry it. Absent: nothing in them tells. */
  unfit?(call: C, sentWith: Headers): Unresolved | null;
  /** What the approver sees: the call as it will be sent, but for what its connection adds. */
  preview(call: C): JsonObject;
  /** What it does, in words, for who reads what a version changes. */
  words(executor: E): string;
  /** The call in one line for who simulates, and its body or arguments; `call` is null where it cannot be made. */
  outline(executor: E, call: C | null): { readonly call: string; readonly sends: Json };
  /** The response that usually comes with an output. Absent: the output itself. */
  response?(output: Json): Json;
}

export type Headers = readonly (readonly [name: string, value: string])[];

type Own<E> = Omit<E, 'kind' | 'connection' | 'idempotencyKey'>;

/** Both null: nothing. */
export interface Reading {
  /** Why it is none, whatever its author says. */
  readonly writes: string | null;
  /** What in it may change something unless its author says why it does not. Without that word it is refused, or warned of. */
  readonly unproven: { readonly what: string; readonly isRefused: boolean } | null;
}

export interface ConnectionKind<S extends object = object, T extends Connection = Connection> {
  readonly shape: z.ZodRawShape;
  /** The key that its address stands under; null: it has none. */
  readonly address: string | null;
  compile(shape: S): Made<T>;
  texts(connection: T): ConnectionTexts;
  /** The same connection with other texts. */
  withTexts(connection: T, texts: ConnectionTexts): T;
}

/** What in a connection may be a reference: its address, values of its headers, values of its command's environment. */
interface ConnectionTexts {
  readonly address: string | null;
  readonly headers: Readonly<Record<string, string>>;
  readonly env: Readonly<Record<string, string>>;
}
