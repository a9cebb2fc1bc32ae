// A small Countersign client, as an agent would have one: it survives the API's restarts and reads problem answers.
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

export function makeApi(baseUrl: string, credential: string): Api {
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
