import type { IncomingMessage, ServerResponse } from 'node:http';
import type { z } from 'zod';
import type { Principal } from '../../model/principal.js';
import type { AnswerOf } from '../../model/answer-types.js';
import type { ErrorCode } from '../../model/errors.js';
import type { JsonObject } from '../../model/json.js';
import type { RecordActor } from '../../model/records.js';
import type { Caller, Trail } from '../../service/caller.js';
import type { FlowText } from '../../service/flows/publish-text.js';
import { askedBy, useCaseOf, type UseCase } from '../../service/may.js';
import type { Refusal } from '../../service/refusal.js';
import type { ApiDeps } from '../deps.js';
import type { Problem } from '../contract/problem.js';

export interface Answer<Status extends number = number, Body = unknown> {
  readonly kind: 'answer';
  readonly status: Status;
  /** JSON, or with `media` the text or bytes themselves; undefined for none. */
  readonly body?: Body;
  readonly media?: string;
  readonly headers?: Readonly<Record<string, string>>;
}

/** What is read in a browser; what pages refuse is one too. */
export interface Page extends Answer<number, string> {
  readonly media: 'text/html; charset=utf-8';
  /** What it refuses with, in words of its own. */
  readonly code?: ErrorCode;
}

/** An answer that goes on: sent after its record is durable. */
interface Stream {
  readonly kind: 'stream';
  readonly media: string;
  readonly run: (response: ServerResponse) => void;
}

export type Reply = Answer | Page | Stream | Problem;

export function answer<Status extends number>(status: Status): Answer<Status, undefined>;
export function answer<Status extends number, const Body>(
  status: Status,
  body: Body,
  headers?: Readonly<Record<string, string>>,
): Answer<Status, Body>;
export function answer(
  status: number,
  body?: unknown,
  headers: Readonly<Record<string, string>> = {},
): Answer {
  return { kind: 'answer', status, body, headers };
}

/** One request on its way through. */
export interface Call {
  readonly deps: ApiDeps;
  readonly requestId: string;
  readonly request: IncomingMessage;
  principal: Principal | null;
  /** Who the browser is signed in as, once a page has asked. */
  signedInAs: string | null;
  /** As `Caller` has it. */
  effect: string;
  held: Caller['held'];
  readonly trail: Trail;
  replayed: boolean;
  /** The status of what was done, which its caller may not be told of any more. */
  withheld: number | null;
  /** So many facts of the trail are on record already. */
  recordedFacts: number;
}

/** Who asks, for the use cases: `principal` is the caller's own, but where a page knows who it is for. */
export function callerOf(call: Call, principal = principalOf(call)): Caller {
  const { deps, requestId, effect, held, trail } = call;
  return { deps, principal, requestId, effect, held, trail };
}

export function actorOf({ principal }: Call): RecordActor {
  if (principal === null) return { kind: 'anonymous', id: 'anonymous' };
  return { kind: principal.kind, id: principal.id, roles: principal.roles };
}

/** The caller of a route that is not public. */
export function principalOf(call: Call): Principal {
  if (call.principal === null) throw new Error('this route is public: it has no principal');
  return call.principal;
}

export interface Input<P, Q, B> {
  readonly params: P;
  readonly query: Q;
  readonly body: B;
}

export type Method = 'GET' | 'POST' | 'PUT' | 'DELETE';

/** How a body comes: as JSON that fits a schema, as the text of a flow, or not at all. */
export type BodySpec =
  | { readonly kind: 'json'; readonly schema: z.ZodType }
  | { readonly kind: 'flow' }
  /** What a page's form sends: names to texts. */
  | { readonly kind: 'form'; readonly schema: z.ZodType }
  /** A form whose sender signs its bytes: they are for the handler to judge and to read. */
  | { readonly kind: 'signed' }
  | { readonly kind: 'none' }
  /** Read and left: the call is refused whatever it says. */
  | { readonly kind: 'ignored' };

export interface AnswerSpec {
  readonly description: string;
  readonly schema?: z.ZodType;
  readonly media?: string;
}

type Answers = Readonly<Record<number, AnswerSpec>>;

/** What a route may answer, by what it says of its answers: a body as its schema describes it, or what has a media type alone. */
type ReplyOf<A extends Answers> =
  { [Status in keyof A]: AnswerAs<Status & number, A[Status]> }[keyof A] | Page | Problem | Refusal;

type AnswerAs<Status extends number, Spec> = Spec extends { readonly schema: infer S extends z.ZodType }
  ? Answer<Status, AnswerOf<S>>
  : Spec extends { readonly media: string }
    ? Answer | Stream
    : Answer<Status, undefined>;

/** One line of the contract: it drives dispatch, validation, OpenAPI and the docs page. */
export interface Route {
  readonly id: string;
  /** Which it is a door to, by its own name: that says what is asked of its caller. Null: a page, or no door to any. */
  readonly useCase: UseCase | null;
  readonly method: Method;
  /** `/v1/runs/{id}`. */
  readonly path: string;
  readonly tag: string;
  readonly summary: string;
  /** `public`: no credential is asked for. */
  readonly access: 'principal' | 'public';
  /** Leaves `api.called`. */
  readonly recorded: boolean;
  /** As its use case asks it; null: none. */
  readonly permission: string | null;
  readonly idempotent: boolean;
  readonly params: z.ZodType<JsonObject | Record<string, unknown>>;
  readonly query: z.ZodType;
  readonly body: BodySpec;
  readonly answers: Answers;
  /** Beyond those that every route may give. */
  readonly errors: readonly ErrorCode[];
  /** Of a public route: why the body of a request is not even read, told by its head; null: it is read. */
  readonly refuseUnread?: (call: Call) => Promise<Problem | null>;
  /** Approvals that a body names, where the path names none, without those of which a kept answer to it tells nothing. */
  readonly approvalsIn?: (body: unknown, kept: unknown) => readonly string[];
  readonly handle: (call: Call, input: Input<never, never, never>) => Promise<Reply | Refusal>;
}

/** Read by a person in a browser, whatever it answers. */
export function isPage({ tag }: Pick<Route, 'tag'>): boolean {
  return tag === 'Pages';
}

interface RouteFields<P extends z.ZodType, Q extends z.ZodType, A extends Answers, B> extends Omit<
  Route,
  | 'handle'
  | 'answers'
  | 'params'
  | 'query'
  | 'body'
  | 'access'
  | 'recorded'
  | 'permission'
  | 'useCase'
  | 'idempotent'
  | 'errors'
> {
  readonly access?: Route['access'];
  readonly recorded?: boolean;
  readonly idempotent?: boolean;
  readonly errors?: readonly ErrorCode[];
  readonly params: P;
  readonly query: Q;
  readonly body?: BodySpec & { readonly of?: B };
  readonly answers: A;
  readonly handle: (call: Call, input: Input<z.output<P>, z.output<Q>, B>) => Promise<ReplyOf<A>>;
}

export function route<P extends z.ZodType, Q extends z.ZodType, A extends Answers, B = undefined>(
  fields: RouteFields<P, Q, A, B>,
): Route {
  const useCase = useCaseOf(fields.id);
  return {
    access: 'principal',
    recorded: fields.access !== 'public',
    useCase,
    permission: askedBy(useCase).permission ?? null,
    idempotent: false,
    errors: [],
    body: { kind: 'none' },
    ...fields,
  } as unknown as Route;
}

export function jsonBody<S extends z.ZodType>(schema: S): BodySpec & { readonly of?: z.output<S> } {
  return { kind: 'json', schema };
}

export function formBody<S extends z.ZodType>(schema: S): BodySpec & { readonly of?: z.output<S> } {
  return { kind: 'form', schema };
}

export const signedForm: BodySpec & { readonly of?: Buffer } = { kind: 'signed' };

export const flowBody: BodySpec & { readonly of?: FlowText } = { kind: 'flow' };
