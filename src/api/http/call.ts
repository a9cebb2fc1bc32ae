import type { IncomingMessage, ServerResponse } from 'node:http';
import type { z } from 'zod';
import type { Principal } from '../../model/principal.js';
import type { ErrorCode } from '../../model/errors.js';
import type { JsonObject } from '../../model/json.js';
import type { RecordActor } from '../../model/records.js';
import type { ServiceFact } from '../../audit/index.js';
import type { HeldKey } from '../../store/idempotency.js';
import type { RunRow } from '../../store/runs.js';
import { viewerOf, type Viewer } from '../../store/visibility.js';
import type { ApiDeps } from '../deps.js';
import type { Problem } from '../contract/problem.js';

export interface Answer {
  readonly kind: 'answer';
  readonly status: number;
  /** JSON, or with `media` the text or bytes themselves; undefined for none. */
  readonly body?: unknown;
  readonly media?: string;
  readonly headers?: Readonly<Record<string, string>>;
}

/** An answer that goes on: sent after its record is durable. */
export interface Stream {
  readonly kind: 'stream';
  readonly media: string;
  readonly run: (response: ServerResponse) => void;
}

export type Reply = Answer | Stream | Problem;

export function answer(
  status: number,
  body?: unknown,
  headers: Readonly<Record<string, string>> = {},
): Answer {
  return { kind: 'answer', status, body, headers };
}

/** The facts that one call leaves besides `api.called`. */
export type CallFact = Pick<ServiceFact, 'type' | 'data'> &
  Partial<Pick<ServiceFact, 'permission' | 'approval' | 'action' | 'refs'>> & {
    /** Where one call is about several runs; else the call's. */
    readonly place?: Call['about'];
  };

/** One request on its way through. What it is about and what it leaves is noted here as it becomes known. */
export interface Call {
  readonly deps: ApiDeps;
  readonly requestId: string;
  readonly request: IncomingMessage;
  principal: Principal | null;
  /** Who the browser is signed in as, once a page has asked. */
  signedInAs: string | null;
  /** 32 hex digits from which the ids of what this call makes are derived: the same in a retry of it. */
  effect: string;
  /** The idempotency key that this call holds. */
  held: HeldKey | null;
  about: {
    readonly run: string;
    readonly flow: string;
    readonly environment: string;
    readonly traceId: string;
  } | null;
  /** The caller may see what it is about, so its trace id may be said. */
  visible: boolean;
  /** The run itself has recorded the refusal. */
  recordedByRun: boolean;
  replayed: boolean;
  readonly facts: CallFact[];
  /** So many of them are on record already. */
  recordedFacts: number;
}

export function traceIdOf(call: Call): string {
  return call.about !== null && call.visible ? call.about.traceId : call.requestId;
}

export function actorOf(call: Call): RecordActor {
  const { principal } = call;
  if (principal === null) return { kind: 'anonymous', id: 'anonymous' };
  return { kind: principal.kind, id: principal.id, roles: principal.roles };
}

/** The caller of a route that is not public. */
export function principalOf(call: Call): Principal {
  if (call.principal === null) throw new Error('this route is public: it has no principal');
  return call.principal;
}

export function viewer(call: Call): Viewer {
  return viewerOf(principalOf(call));
}

export function noteRun(call: Call, row: RunRow, visible: boolean): void {
  call.about = { run: row.id, flow: row.flow, environment: row.environment, traceId: row.traceId };
  call.visible = visible;
}

/** Ids of what the call makes. */
export function effectId(call: Call, prefix: 'run' | 'msg' | 'dec' | 'key'): string {
  return `${prefix}_${call.effect}`;
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

export interface FlowText {
  readonly media: 'json' | 'yaml';
  readonly bytes: Buffer;
}

export interface AnswerSpec {
  readonly description: string;
  readonly schema?: z.ZodType;
  readonly media?: string;
}

/** One line of the contract: it drives dispatch, validation, OpenAPI and the docs page. */
export interface Route {
  readonly id: string;
  readonly method: Method;
  /** `/v1/runs/{id}`. */
  readonly path: string;
  readonly tag: string;
  readonly summary: string;
  /** `public`: no credential is asked for. */
  readonly access: 'principal' | 'public';
  /** Leaves `api.called`. */
  readonly recorded: boolean;
  readonly permission: string | null;
  readonly idempotent: boolean;
  /** Open to a service that acts for a human: reading what waits, and deciding it. Everything else is refused. */
  readonly delegated: boolean;
  /** Agents and systems are refused, whatever they hold. */
  readonly humansOnly: boolean;
  readonly params: z.ZodType<JsonObject | Record<string, unknown>>;
  readonly query: z.ZodType;
  readonly body: BodySpec;
  readonly answers: Readonly<Record<number, AnswerSpec>>;
  /** Beyond those that every route may give. */
  readonly errors: readonly ErrorCode[];
  /** Approvals that a body names, where the path names none, without those of which a kept answer to it tells nothing. */
  readonly approvalsIn?: (body: unknown, kept: unknown) => readonly string[];
  readonly handle: (call: Call, input: Input<never, never, never>) => Promise<Reply>;
}

/** Read by a person in a browser, whatever it answers. */
export function isPage({ tag }: Pick<Route, 'tag'>): boolean {
  return tag === 'Pages';
}

interface RouteFields<P extends z.ZodType, Q extends z.ZodType, B> extends Omit<
  Route,
  | 'handle'
  | 'params'
  | 'query'
  | 'body'
  | 'access'
  | 'recorded'
  | 'permission'
  | 'idempotent'
  | 'errors'
  | 'delegated'
  | 'humansOnly'
> {
  readonly access?: Route['access'];
  readonly recorded?: boolean;
  readonly permission?: string;
  readonly idempotent?: boolean;
  readonly delegated?: boolean;
  readonly humansOnly?: boolean;
  readonly errors?: readonly ErrorCode[];
  readonly params: P;
  readonly query: Q;
  readonly body?: BodySpec & { readonly of?: B };
  readonly handle: (call: Call, input: Input<z.output<P>, z.output<Q>, B>) => Promise<Reply>;
}

export function route<P extends z.ZodType, Q extends z.ZodType, B = undefined>(
  fields: RouteFields<P, Q, B>,
): Route {
  return {
    access: 'principal',
    recorded: fields.access !== 'public',
    permission: null,
    idempotent: false,
    delegated: false,
    humansOnly: false,
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
