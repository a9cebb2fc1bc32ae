import { randomUUID } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { z } from 'zod';
import type { Json, JsonObject } from '../model/json.js';
import { showLink } from './show.js';

/** Expected to fail: its message is for the user, its code for the shell. */
export class CliError extends Error {
  constructor(
    message: string,
    /** 1: it did not work; 2: it was not asked rightly. */
    readonly exitCode: 1 | 2,
    /** The API's problem answer, for `--json`. */
    readonly problem: JsonObject | null = null,
  ) {
    super(message);
  }

  /** Nobody refused it: the same may be answered a moment later. */
  get mayPass(): boolean {
    const { status } = this.problem ?? {};
    return this.exitCode === 1 && !(typeof status === 'number' && status < 500 && status !== 429);
  }
}

export interface Target {
  readonly url?: string | undefined;
  readonly key?: string | undefined;
  readonly as?: string | undefined;
}

/** `A`: what the contract says of the answer. */
export interface Api {
  /** `withinMs`: how long it may take; a minute unless said. */
  get<A>(path: string, withinMs?: number): Promise<Told<A>>;
  /** `texts` are sent as they were written. */
  post<A>(path: string, body: JsonObject, texts?: Readonly<Record<string, JsonText>>): Promise<Told<A>>;
}

/** An answer as it may come: the service may be of another version, so that any part of it may be missing. */
export type Told<A> = [Json] extends [A]
  ? Json
  : A extends string | number | boolean | null
    ? A
    : A extends readonly (infer Item)[]
      ? readonly Told<Item>[]
      : JsonObject extends A
        ? A
        : { readonly [Name in keyof A]?: Told<A[Name]> | undefined };

/** Nothing of an answer is checked here, so every part of it is looked at before it is used. */
export function told<A>(body: JsonObject): Told<A> {
  return body as unknown as Told<A>;
}

/** One JSON object, in the words of whoever wrote it. */
export interface JsonText {
  readonly text: string;
}

const timeoutMs = 60_000;

export function makeApi(target: Target, env: NodeJS.ProcessEnv): Api {
  const url = target.url ?? value(env['COUNTERSIGN_URL']) ?? runningUrl(homeOf(env));
  const key = keyOf(target, env);
  const odd = /[^\x21-\x7e]/u.exec(key)?.[0];
  if (odd !== undefined)
    throw new CliError(
      `the key holds ${JSON.stringify(odd)}, which no key does, so nothing was sent: was it copied with quotes or blanks?`,
      2,
    );
  const call = async (path: string, init: RequestInit, withinMs = timeoutMs): Promise<JsonObject> => {
    const { status, body } = await request(url, path, withinMs, {
      ...init,
      headers: { ...init.headers, authorization: `Bearer ${key}`, 'user-agent': 'countersign-cli' },
    });
    if (status < 400) return body;
    throw new CliError(explain(status, body), 1, body);
  };
  return {
    get: async <A>(path: string, withinMs?: number) => told<A>(await call(path, { method: 'GET' }, withinMs)),
    post: async <A>(path: string, body: JsonObject, texts = {}) =>
      told<A>(
        await call(path, {
          method: 'POST',
          headers: { 'content-type': 'application/json', 'idempotency-key': randomUUID() },
          body: bodyText(body, texts),
        }),
      ),
  };
}

function bodyText(body: JsonObject, texts: Readonly<Record<string, JsonText>>): string {
  const values = Object.entries(body).map(([name, value]) => [name, JSON.stringify(value)]);
  const written = Object.entries(texts).map(([name, { text }]) => [name, text]);
  return `{${[...values, ...written].map(([name, text]) => `${JSON.stringify(name)}:${text ?? 'null'}`).join(',')}}`;
}

async function request(
  url: string,
  path: string,
  withinMs: number,
  init: RequestInit,
): Promise<{ status: number; body: JsonObject }> {
  if (!URL.canParse(path, url))
    throw new CliError(`\`${url}\` is no address: give --url or COUNTERSIGN_URL as http://host:port`, 2);
  const isRead = init.method === 'GET';
  const sent = requestOf(url, path, { ...init, signal: AbortSignal.timeout(withinMs) });
  let response: Response;
  let text: string;
  try {
    response = await fetch(sent);
    text = await response.text();
  } catch (error) {
    throw new CliError(unanswered(url, isRead, error), 1);
  }
  const { status } = response;
  // A redirect followed would be another request, to another place, without what this one asked.
  if (status >= 300 && status < 400)
    throw new CliError(
      `\`${url}\` answered ${status}, a redirect, which Countersign never does: give --url the address itself${isRead ? '' : doubt}`,
      1,
    );
  const body = objectOf(text);
  if (body === null)
    throw new CliError(
      `\`${url}\` answered ${status} without JSON: is it Countersign?${isRead ? '' : doubt}`,
      1,
    );
  // Whatever stands before the service knows nothing of what the service did.
  if (status >= 500 && typeof body['code'] !== 'string')
    throw new CliError(
      `\`${url}\` answered ${status}, and not in Countersign's words: is there a proxy?${isRead ? '' : doubt}`,
      1,
      body,
    );
  return { status, body };
}

/** What cannot even be made was never sent. */
function requestOf(url: string, path: string, init: RequestInit): Request {
  try {
    return new Request(new URL(path, url), { ...init, redirect: 'manual' });
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error);
    throw new CliError(`nothing was sent: the request cannot be made (${why}): look at --url and the key`, 2);
  }
}

function objectOf(text: string): JsonObject | null {
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === 'object' && value !== null && !Array.isArray(value)
      ? (value as JsonObject)
      : null;
  } catch {
    return null;
  }
}

const doubt = ', and what was asked may be done all the same: look before you ask again';

/** Codes of a request that never left: nothing listens there, or nobody knows the way. */
const unsent: readonly unknown[] = [
  'ECONNREFUSED',
  'ENOTFOUND',
  'EAI_AGAIN',
  'EHOSTUNREACH',
  'ENETUNREACH',
  'UND_ERR_CONNECT_TIMEOUT',
];

/** What ends a handshake: the request itself goes only after it. */
const handshake =
  /^(CERT_|DEPTH_ZERO_SELF_SIGNED_CERT$|SELF_SIGNED_CERT_IN_CHAIN$|UNABLE_TO_|ERR_TLS_CERT_ALTNAME_INVALID$|ERR_SSL_(WRONG_VERSION_NUMBER|PACKET_LENGTH_TOO_LONG|UNSUPPORTED_PROTOCOL)$)/;

/** What was sent may have been done, whatever became of its answer. */
function unanswered(url: string, isRead: boolean, error: unknown): string {
  const cause = error instanceof Error && error.cause instanceof Error ? error.cause : error;
  const why = cause instanceof Error ? cause.message : String(cause);
  const code = cause instanceof Error && 'code' in cause ? cause.code : undefined;
  if (unsent.includes(code) || why === 'bad port')
    return `cannot reach \`${url}\` (${why}): is it running? \`npm start\` starts it, --url says where it is`;
  if (isHandshake(code, why))
    return `cannot reach \`${url}\` over TLS, so nothing was sent (${why}): is it http, and is its certificate one that is trusted here?`;
  return `\`${url}\` did not answer (${why})${isRead ? '' : doubt}`;
}

function isHandshake(code: unknown, why: string): boolean {
  if (typeof code !== 'string') return false;
  return handshake.test(code) || (code === 'EPROTO' && why.includes('wrong version number'));
}

/** As the API says of a credential that was valid before (`endOf`). */
const endedMeanwhile = /any more/;

function explain(status: number, body: JsonObject): string {
  const detail = typeof body['detail'] === 'string' ? body['detail'] : 'no detail';
  if (status === 401) {
    const words = `${String(body['code'] ?? status)}: the service does not take this key (any more): give another one with --key, COUNTERSIGN_KEY or --as`;
    // The key was good when it came: what it asked for may have been done.
    return endedMeanwhile.test(detail) ? `${words}; ${detail}` : words;
  }
  const errors = Array.isArray(body['errors']) ? (body['errors'] as JsonObject[]) : [];
  const lines = errors.map(
    (one) => `  ${String(one['pointer'] ?? one['path'] ?? '')} ${String(one['message'] ?? '')}`,
  );
  const links = Array.isArray(body['links']) ? (body['links'] as JsonObject[]) : [];
  return [`${String(body['code'] ?? status)}: ${detail}`, ...lines, ...links.map(showLink)].join('\n');
}

function value(text: string | undefined): string | undefined {
  return text === '' ? undefined : text;
}

function homeOf(env: NodeJS.ProcessEnv): string {
  return value(env['COUNTERSIGN_HOME']) ?? '.countersign';
}

/** As the service reads it: an empty variable is none. */
export function policiesOf(env: NodeJS.ProcessEnv): string {
  return value(env['COUNTERSIGN_POLICIES']) ?? 'policies';
}

const processes = z.looseObject({ api: z.looseObject({ port: z.int() }) });

/** Where the product of this data folder listens; else the default. */
function runningUrl(home: string): string {
  const parsed = processes.safeParse(readJson(join(home, 'processes.json')));
  return `http://127.0.0.1:${parsed.success ? parsed.data.api.port : 8080}`;
}

function keyOf(target: Target, env: NodeJS.ProcessEnv): string {
  if (target.key !== undefined && target.as !== undefined)
    throw new CliError('give --key or --as, one of the two', 2);
  if (target.as !== undefined) return devKey(target.as, homeOf(env));
  const key = target.key ?? value(env['COUNTERSIGN_KEY']);
  if (key !== undefined) return key;
  throw new CliError('say who asks: --as NAME (a development key), --key KEY or COUNTERSIGN_KEY', 2);
}

const devKeys = z.record(z.string(), z.string());

function devKey(name: string, home: string): string {
  const path = join(home, 'dev-keys.json');
  const parsed = devKeys.safeParse(readJson(path));
  if (!parsed.success)
    throw new CliError(
      `there are no development keys in \`${path}\`: start the product, or set COUNTERSIGN_HOME to its data folder`,
      2,
    );
  const key = Object.hasOwn(parsed.data, name) ? parsed.data[name] : undefined;
  if (key !== undefined) return key;
  throw new CliError(
    `there is no development key \`${name}\`: it is one of ${Object.keys(parsed.data).join(', ')}`,
    2,
  );
}

function readJson(path: string): unknown {
  try {
    return JSON.parse(readFileSync(path, 'utf8'));
  } catch {
    return null;
  }
}
