import { randomUUID } from 'node:crypto';
import { readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { z } from 'zod';
import type { BatchJson } from '../model/contract/answer-types.js';
import type { Json, JsonObject } from '../model/values/json.js';
import { nearest } from '../policy/text/problems.js';
import { batchLines, inOptions, showLink } from './show.js';

/** A failure that is no fault of this program: the message is for the user, the code for the shell. */
export class CliError extends Error {
  constructor(
    message: string,
    /** 1: it did not work; 2: the command line is wrong. */
    readonly exitCode: 1 | 2,
    /** The API's problem answer, for `--json`. */
    readonly problem: JsonObject | null = null,
  ) {
    super(message);
  }

  /** True where nobody refused the request, so that the same request may succeed a moment later. */
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

/** `A` is the type that the contract gives to the answer. */
export interface Api {
  /** `withinMs`: the time limit, a minute by default. */
  get<A>(path: string, withinMs?: number): Promise<Received<A>>;
  /** Sends `body`, and in it the JSON `texts` exactly as they were written. */
  post<A>(path: string, body: JsonObject, texts?: Readonly<Record<string, JsonText>>): Promise<Received<A>>;
}

/** An answer as received: the service may have another version, so any part may be missing. */
export type Received<A> = [Json] extends [A]
  ? Json
  : A extends string | number | boolean | null
    ? A
    : A extends readonly (infer Item)[]
      ? readonly Received<Item>[]
      : JsonObject extends A
        ? A
        : { readonly [Name in keyof A]?: Received<A[Name]> | undefined };

/** Checks nothing: whoever uses a part of the answer looks first whether it is there. */
export function asReceived<A>(body: JsonObject): Received<A> {
  return body as unknown as Received<A>;
}

/** The text of a JSON object, as its author wrote it. */
interface JsonText {
  readonly text: string;
}

const timeoutMs = 60_000;

export function makeApi(target: Target, env: NodeJS.ProcessEnv): Api {
  const given = target.url ?? nonEmpty(env['COUNTERSIGN_URL']);
  const url = given === undefined ? runningUrl(homeOf(env)) : takeAddress(given);
  const key = keyOf(target, env);
  const odd = /[^\x21-\x7e]|["']/u.exec(key)?.[0];
  if (odd !== undefined)
    throw new CliError(
      `nothing was sent, because the key contains ${JSON.stringify(odd)}, which no key does: was it copied with quotes or spaces?`,
      2,
    );
  const call = async (path: string, init: RequestInit, withinMs = timeoutMs): Promise<JsonObject> => {
    const { status, body } = await request(url, path, withinMs, {
      ...init,
      headers: { ...init.headers, authorization: `Bearer ${key}`, 'user-agent': 'countersign-cli' },
    });
    if (status < 400) return body;
    throw new CliError(explainRefusal(status, path, body), 1, body);
  };
  return {
    get: async <A>(path: string, withinMs?: number) =>
      asReceived<A>(await call(path, { method: 'GET' }, withinMs)),
    post: async <A>(path: string, body: JsonObject, texts = {}) =>
      asReceived<A>(
        await call(path, {
          method: 'POST',
          headers: { 'content-type': 'application/json', 'idempotency-key': randomUUID() },
          body: bodyText(body, texts),
        }),
      ),
  };
}

/**
 * The address as it was given, where it is one of scheme, host and port: what Countersign answers stands at the root of its host. What
 * holds an `@` is not shown, since a password may stand anywhere before it.
 */
function takeAddress(given: string): string {
  const wanted = 'give --url or COUNTERSIGN_URL as';
  if (given.includes('@'))
    throw new CliError(
      `nothing was sent: the address (not shown here) has an \`@\`, as one with credentials does, and Countersign takes none there: ${wanted} http://host:port, and the key by itself`,
      2,
    );
  const url = URL.canParse(given) ? new URL(given) : null;
  // A key may have been put in its place.
  const what = /(?:^|[^a-z0-9])cs_|^\s*(?:Bearer\s+)?eyJ/i.test(given)
    ? 'what was given as address (not shown here)'
    : `\`${given}\``;
  if (url === null || !/^https?:$/.test(url.protocol))
    throw new CliError(`${what} is no address: ${wanted} http://host:port`, 2);
  if (url.pathname !== '/' || url.search !== '' || url.hash !== '')
    throw new CliError(
      `nothing was sent: Countersign answers at the root of its host, and this address goes on after that: ${wanted} ${url.origin}`,
      2,
    );
  return given;
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
  const unsure =
    init.method === 'GET' ? '' : `, and what was asked may have been done all the same: ${lookFirst(path)}`;
  const sent = requestOf(url, path, { ...init, signal: AbortSignal.timeout(withinMs) });
  let response: Response;
  let text: string;
  try {
    response = await fetch(sent);
    text = await response.text();
  } catch (error) {
    throw new CliError(explainFailure(url, unsure, error), 1);
  }
  const { status } = response;
  // Not followed: the second request could go elsewhere, and without this body.
  if (status >= 300 && status < 400)
    throw new CliError(
      `\`${url}\` answered ${status}, a redirect, which Countersign never does: give --url the address itself${unsure}`,
      1,
    );
  const body = objectOf(text);
  if (body === null)
    throw new CliError(`\`${url}\` answered ${status} without JSON: is it Countersign?${unsure}`, 1);
  // Such an answer comes from another service or a proxy, which does not know what Countersign did.
  if (status >= 400 && typeof body['code'] !== 'string') {
    const who = status < 500 ? 'is it Countersign?' : 'is there a proxy?';
    throw new CliError(
      `\`${url}\` answered ${status}, and not in Countersign's words: ${who}${unsure}`,
      1,
      body,
    );
  }
  return { status, body };
}

/** Throws when the request cannot be made, so that nothing was sent. */
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

/** What to do where nobody knows whether a request was done. The same command again is another request, with a key of its own. */
function lookFirst(path: string): string {
  return `look${path.startsWith('/v1/approvals/') ? ' with `npx countersign approvals --mine`' : ''} before you ask again`;
}

/** Error codes of a request that was never sent: nothing listens at the address, or it cannot be found. */
const unsentCodes: readonly unknown[] = [
  'ECONNREFUSED',
  'ENOTFOUND',
  'EAI_AGAIN',
  'EHOSTUNREACH',
  'ENETUNREACH',
  'UND_ERR_CONNECT_TIMEOUT',
];

/** Error codes of a failed TLS handshake. The request is sent only after the handshake. */
const handshake =
  /^(CERT_|DEPTH_ZERO_SELF_SIGNED_CERT$|SELF_SIGNED_CERT_IN_CHAIN$|UNABLE_TO_|ERR_TLS_CERT_ALTNAME_INVALID$|ERR_SSL_(WRONG_VERSION_NUMBER|PACKET_LENGTH_TOO_LONG|UNSUPPORTED_PROTOCOL)$)/;

/** Why there is no answer, and, where the request may have been sent, whether it may have been done. */
function explainFailure(url: string, unsure: string, error: unknown): string {
  const cause = error instanceof Error && error.cause instanceof Error ? error.cause : error;
  const why = cause instanceof Error ? cause.message : String(cause);
  const code = cause instanceof Error && 'code' in cause ? cause.code : undefined;
  if (unsentCodes.includes(code) || why === 'bad port')
    return `cannot reach \`${url}\` (${why}): is it running? \`npm start\` starts it, --url says where it is`;
  if (isHandshake(code, why))
    return `cannot reach \`${url}\` over TLS, so nothing was sent (${why}): is it http, and is its certificate trusted here?`;
  return `\`${url}\` did not answer (${why})${unsure}`;
}

function isHandshake(code: unknown, why: string): boolean {
  if (typeof code !== 'string') return false;
  return handshake.test(code) || (code === 'EPROTO' && why.includes('wrong version number'));
}

/** So says the API where nobody knows whether a request was done; behind it stands what a client of its own may do. */
const uncertain = /(not certain whether this was done): .*/s;

function explainRefusal(status: number, path: string, body: JsonObject): string {
  const said = typeof body['detail'] === 'string' ? body['detail'] : 'no detail';
  const detail = inOptions(said).replace(uncertain, `$1: ${lookFirst(path)}`);
  if (status === 401) {
    const words = `${String(body['code'] ?? status)}: the service does not take this key (any more): give another one with --key, COUNTERSIGN_KEY or --as`;
    // The key was valid when the request came, so what it asked for may have been done.
    return uncertain.test(said) ? `${words}; ${detail}` : words;
  }
  const errors = Array.isArray(body['errors']) ? (body['errors'] as JsonObject[]) : [];
  const query = new URLSearchParams(path.split('?')[1] ?? '');
  const wrong = errors.map((error) => explainOption(error, query)).filter((line) => line !== null);
  if (wrong.length > 0 && wrong.length === errors.length)
    return `${String(body['code'] ?? status)}: ${wrong.join('\n')}`;
  const lines = errors.map(
    (error) =>
      `  ${inOptions(String(error['pointer'] ?? error['path'] ?? ''))} ${String(error['message'] ?? '')}`,
  );
  const links = Array.isArray(body['links']) ? (body['links'] as JsonObject[]) : [];
  const results = batchLines(asReceived<BatchJson>(body)).map((line) => `  ${line}`);
  return [`${String(body['code'] ?? status)}: ${detail}`, ...lines, ...results, ...links.map(showLink)].join(
    '\n',
  );
}

/** What is wrong with a part of the query, in words of the option that it was made from; null: it is no such error. */
function explainOption({ pointer, message }: JsonObject, query: URLSearchParams): string | null {
  // A number behind the name: that one of the values with commas between.
  const [, name, index] = /^\/query\/(\w+)(?:\/(\d+))?$/.exec(String(pointer)) ?? [];
  const whole = name === undefined ? null : query.get(name);
  const given = index === undefined ? whole : whole?.split(',')[Number(index)];
  if (name === undefined || typeof given !== 'string') return null;
  const option = name.replaceAll(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`);
  const said = String(message);
  const allowed = [...said.matchAll(/"([^"]+)"/g)].map(([, value]) => value ?? '');
  if (allowed.length === 0) return `--${option} \`${given}\`: ${said}`;
  const meant = nearest(given, allowed);
  return `--${option} takes ${allowed.join(', ')}, not \`${given}\`${meant === undefined ? '' : `: did you mean \`${meant}\`?`}`;
}

function nonEmpty(text: string | undefined): string | undefined {
  return text === '' ? undefined : text;
}

function homeOf(env: NodeJS.ProcessEnv): string {
  return nonEmpty(env['COUNTERSIGN_HOME']) ?? '.countersign';
}

/** The policies folder. As in the service, an empty variable counts as unset. */
export function policiesOf(env: NodeJS.ProcessEnv): string {
  const folder = nonEmpty(env['COUNTERSIGN_POLICIES']) ?? 'policies';
  if (statSync(folder, { throwIfNoEntry: false })?.isDirectory() === false)
    throw new CliError(`there is no policies folder \`${folder}\`: set COUNTERSIGN_POLICIES to one`, 2);
  return folder;
}

const processes = z.looseObject({ api: z.looseObject({ port: z.int() }) });

/** The address of the service that runs from this data folder, or the default address. */
function runningUrl(home: string): string {
  const parsed = processes.safeParse(readJson(join(home, 'processes.json')));
  return `http://127.0.0.1:${parsed.success ? parsed.data.api.port : 8080}`;
}

function keyOf(target: Target, env: NodeJS.ProcessEnv): string {
  if (target.key !== undefined && target.as !== undefined)
    throw new CliError('give --key or --as, not both', 2);
  if (target.as !== undefined) return devKey(target.as, homeOf(env));
  const key = nonEmpty(target.key) ?? nonEmpty(env['COUNTERSIGN_KEY']);
  if (key !== undefined) return key;
  throw new CliError('say who is asking: --as NAME (a development key), --key KEY or COUNTERSIGN_KEY', 2);
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
    `there is no development key \`${name}\`; there are ${Object.keys(parsed.data).join(', ')}`,
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
