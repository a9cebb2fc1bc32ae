import type { IncomingMessage, ServerResponse } from 'node:http';
import type { z } from 'zod';
import { followRights, unknownRights, type Authentication } from '../../auth/index.js';
import type { Principal } from '../../model/principal.js';
import type { AnswerOf } from '../../model/contract/answer-types.js';
import type { ErrorCode } from '../../model/contract/errors.js';
import { sameJson } from '../../model/values/canonical.js';
import type { Json, JsonObject } from '../../model/values/json.js';
import { principalActor, type RecordActor } from '../../model/records.js';
import type { Caller, Trail } from '../../service/caller.js';
import type { FlowText } from '../../service/flows/publish-text.js';
import { rulesOf, useCaseOf, type UseCase } from '../../service/may.js';
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

/** A page to be read in a browser; a refusal there is a page, too. */
export interface Page extends Answer<number, string> {
  readonly media: 'text/html; charset=utf-8';
  /** The error code of a page that refuses; absent: it refuses nothing. */
  readonly code?: ErrorCode;
}

/** An answer that goes on. It begins after its record is durable. */
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

/** What shows who sends a request: a key or token, or who has signed a Slack request or holds a link. */
interface Credential {
  /** When it began to be read, by `performance.now()`. */
  readonly readAt: number;
  /** The principal that it gives now; null: none, as it was revoked or is over. */
  readonly readNow: () => Promise<Principal | null>;
  /** It is an approval's link, and nobody has signed in. */
  readonly isLink?: true;
}

/** A request on its way through the API. */
export interface Call {
  readonly deps: ApiDeps;
  readonly requestId: string;
  readonly request: IncomingMessage;
  principal: Principal | null;
  /** The credential that was read last. */
  credential: Credential | null;
  /** Id of the person who is signed in, once a page has asked for it. */
  signedInAs: string | null;
  /** As in `Caller`. */
  idBase: string;
  heldKey: Caller['heldKey'];
  /** Gives back the room of its body, once it is answered. */
  leaveBody: () => void;
  readonly trail: Trail;
  replayed: boolean;
  /** The status of the answer that the caller may not see any more; null: nothing was withheld. */
  withheldStatus: number | null;
  /** How many facts of the trail are on record already. */
  recordedFacts: number;
}

/** The caller for the use cases. A page passes the `principal` that it acts for; else it is the call's own. */
export function callerOf(call: Call, principal = principalOf(call)): Caller {
  const { deps, requestId, idBase, heldKey, trail, credential } = call;
  const rights =
    credential === null
      ? unknownRights
      : followRights(() => givesStill(credential, principal), credential.readAt);
  const stopping = deps.feed.closing;
  return { deps, principal, requestId, idBase, heldKey, trail, rights, stopping };
}

/** What a header gives, and with which credential. */
export async function readHeader(
  { authenticate }: Pick<ApiDeps, 'authenticate'>,
  header: string | undefined,
): Promise<{ readonly found: Authentication; readonly credential: Credential }> {
  const readAt = performance.now();
  const readNow = async (): Promise<Principal | null> => {
    const now = await authenticate(header);
    return now.status === 'ok' ? now.principal : null;
  };
  return { found: await authenticate(header), credential: { readAt, readNow } };
}

async function givesStill({ readNow }: Credential, asked: Principal): Promise<boolean> {
  const now = await readNow();
  return now !== null && isSame(now, asked);
}

/** Whether both are the same principal, with the same rights. */
export function isSame(now: Principal, asked: Principal): boolean {
  return sameJson(inOrder(now), inOrder(asked));
}

/** A reload may declare the same roles and permissions in another order. */
function inOrder({ roles, permissions, id, kind, actedBy }: Principal): Json {
  return { id, kind, actedBy: actedBy ?? null, roles: roles.toSorted(), permissions: permissions.toSorted() };
}

export function actorOf({ principal }: Call): RecordActor {
  return principal === null ? { kind: 'anonymous', id: 'anonymous' } : principalActor(principal);
}

/** The caller of a route that is not public. */
export function principalOf(call: Call): Principal {
  if (call.principal === null) throw new Error('a route that is not public was called without a principal');
  return call.principal;
}

export interface Arrived {
  /** The route's path with its parameters in a single spelling: requests for the same thing have the same path. */
  readonly path: string;
  readonly params: Readonly<Record<string, string>>;
  readonly search: URLSearchParams;
}

export interface Input<P, Q, B> {
  readonly params: P;
  readonly query: Q;
  readonly body: B;
}

export type Method = 'GET' | 'POST' | 'PUT' | 'DELETE';

/** How the body comes: as JSON that fits a schema, as the text of a flow, as a form, or not at all. */
export type BodySpec =
  | { readonly kind: 'json'; readonly schema: z.ZodType }
  | { readonly kind: 'flow' }
  /** A page's form: names and texts. */
  | { readonly kind: 'form'; readonly schema: z.ZodType }
  /** A form whose bytes are signed by the sender: the handler verifies and reads them. */
  | { readonly kind: 'signed' }
  | { readonly kind: 'none' }
  /** The body is read and dropped: the call is refused whatever it says. */
  | { readonly kind: 'ignored' };

export interface AnswerSpec {
  readonly description: string;
  readonly schema?: z.ZodType;
  readonly media?: string;
}

type Answers = Readonly<Record<number, AnswerSpec>>;

/** What a route may answer, by its `answers`: a body of the schema, or anything of the media type where no schema is given. */
type ReplyOf<A extends Answers> =
  { [Status in keyof A]: AnswerAs<Status & number, A[Status]> }[keyof A] | Page | Problem | Refusal;

type AnswerAs<Status extends number, Spec> = Spec extends { readonly schema: infer S extends z.ZodType }
  ? Answer<Status, AnswerOf<S>>
  : Spec extends { readonly media: string }
    ? Answer | Stream
    : Answer<Status, undefined>;

/** A line of the contract: it drives dispatch, validation, OpenAPI and the docs page. */
export interface Route {
  readonly id: string;
  /** The use case of the route's `id`, which says what is required of the caller; null: a page, or a route without a use case. */
  readonly useCase: UseCase | null;
  readonly method: Method;
  /** `/v1/runs/{id}`. */
  readonly path: string;
  readonly tag: string;
  readonly summary: string;
  /** `public`: no credential is asked for. */
  readonly access: 'principal' | 'public';
  /** Each call is on record as `api.called`. */
  readonly recorded: boolean;
  /** The permission that its use case requires; null: none. */
  readonly permission: string | null;
  readonly idempotent: boolean;
  readonly params: z.ZodType<JsonObject | Record<string, unknown>>;
  readonly query: z.ZodType;
  readonly body: BodySpec;
  readonly answers: Answers;
  /** Besides the errors that every route may give. */
  readonly errors: readonly ErrorCode[];
  /** Of a public route: refuses a request by its head, before its body is read; null: the body is read. */
  readonly refuseUnread?: (call: Call) => Promise<Problem | null>;
  /** Approvals that the body names, if the path names none; without those that the kept answer tells nothing about. */
  readonly approvalsIn?: (body: unknown, kept: unknown) => readonly string[];
  /** Nothing is made or decided by such a body, however it is answered: its idempotency key is free for another one. */
  readonly looksOnly?: (body: unknown) => boolean;
  readonly handle: (call: Call, input: Input<never, never, never>) => Promise<Reply | Refusal>;
}

export const pageTag = 'Pages';

/** Whatever the route answers is read by a person in a browser. */
export function isPage({ tag }: Pick<Route, 'tag'>): boolean {
  return tag === pageTag;
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
    permission: rulesOf(useCase).permission ?? null,
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
