// A small Countersign client, as an agent would have one: it survives the API's restarts and reads problem answers.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';

export interface ApiAnswer {
  readonly status: number;
  readonly body: Record<string, unknown>;
  /** What the server asks to wait before the next question. */
  readonly retryAfterMs: number | null;
}

export interface Api {
  get(path: string): Promise<ApiAnswer>;
  /** `key` makes it safe to ask again when an answer is lost. */
  post(path: string, body: unknown, key: string): Promise<ApiAnswer>;
}

const firstWaitMs = 250;
const longestWaitMs = 5_000;
const requestTimeoutMs = 60_000;

/**
 * The service at COUNTERSIGN_URL, with COUNTERSIGN_KEY; where they are not set, the one that `npm start` runs here, with its
 * development key of that name.
 */
export function connect(name: string): Api {
  const { COUNTERSIGN_URL: url, COUNTERSIGN_KEY: key } = process.env;
  return makeApi(
    url || `http://127.0.0.1:${told('processes.json', 'api', 'port')}`,
    key || told('dev-keys.json', name),
  );
}

/** What a running service has written into its data folder. */
export function told(file: string, ...path: readonly string[]): string {
  const home = process.env['COUNTERSIGN_HOME'] || '.countersign';
  try {
    let at: unknown = JSON.parse(readFileSync(join(home, file), 'utf8'));
    for (const name of path) at = (at as Record<string, unknown>)[name];
    if (at !== undefined) return String(at);
  } catch {
    // Said below.
  }
  console.error(
    `no service runs with the data folder \`${home}\`: start one with \`npm start -- --no-demo\``,
  );
  process.exit(1);
}

function makeApi(baseUrl: string, credential: string): Api {
  const call = async (
    method: string,
    path: string,
    more: RequestInit & { headers?: Record<string, string> },
  ): Promise<ApiAnswer> => {
    for (let waitMs = firstWaitMs; ; waitMs = Math.min(waitMs * 2, longestWaitMs)) {
      const answer = await attempt(new URL(path, baseUrl), {
        ...more,
        method,
        headers: { ...more.headers, authorization: `Bearer ${credential}` },
      });
      if (answer !== null && !isTemporary(answer)) return answer;
      await sleep(Math.max(answer?.retryAfterMs ?? 0, waitMs));
    }
  };
  return {
    get: (path) => call('GET', path, {}),
    post: (path, body, key) =>
      call('POST', path, {
        headers: { 'content-type': 'application/json', 'idempotency-key': key },
        body: JSON.stringify(body),
      }),
  };
}

/** Null while nobody answers: the API may be starting again. */
async function attempt(url: URL, init: RequestInit): Promise<ApiAnswer | null> {
  try {
    const response = await fetch(url, { ...init, signal: AbortSignal.timeout(requestTimeoutMs) });
    const seconds = Number(response.headers.get('retry-after') ?? Number.NaN);
    const retryAfterMs = Number.isFinite(seconds) ? seconds * 1000 : null;
    return {
      status: response.status,
      body: (await response.json()) as Record<string, unknown>,
      retryAfterMs,
    };
  } catch {
    return null;
  }
}

function isTemporary(answer: ApiAnswer): boolean {
  return answer.status === 429 || answer.status >= 503 || answer.body['code'] === 'IDEMPOTENCY_IN_PROGRESS';
}

/** The answer, if it is no refusal; else its refusal is told, and the program ends. */
export function expectOk(answer: ApiAnswer, what: string): ApiAnswer {
  if (answer.status < 300) return answer;
  const why = field(answer.body, 'detail') ?? field(answer.body, 'title') ?? '';
  console.error(`${what}: ${answer.status} ${field(answer.body, 'code') ?? ''} ${why}`);
  process.exit(1);
}

/** Text, or a number as text, at a place in an answer; null where there is none. */
export function field(value: unknown, ...path: readonly string[]): string | null {
  let at: unknown = value;
  for (const name of path)
    at = typeof at === 'object' && at !== null ? (at as Record<string, unknown>)[name] : undefined;
  return typeof at === 'string' || typeof at === 'number' ? String(at) : null;
}
