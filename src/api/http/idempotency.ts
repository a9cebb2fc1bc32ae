import { createHash, randomUUID } from 'node:crypto';
import { seal, unseal } from '../../model/sealing.js';
import { canonical } from '../../model/values/canonical.js';
import {
  claimKey,
  keepAnswer,
  findKeptAnswer,
  forgetKey,
  releaseKey,
  renewKey,
  type HeldKey,
  type KeptAnswer,
} from '../../store/idempotency.js';
import { traceIdOf } from '../../service/caller.js';
import { principalOf, type Answer, type Call, type Reply, type Route } from './call.js';
import { keyBudget, mostKeptBytes, mostKeys, noteKept, noteKey, type KeyBudget } from './key-use.js';
import { invalid, problem, problemBody, statusOf, type Problem } from '../contract/problem.js';
import { jsonOf, type RawBody } from './bodies/body.js';
import type { Pool } from '../../db/index.js';

/** How long other attempts wait for a holder that may have died (docs/spec/api.md). A living holder renews its hold meanwhile. */
const holdMs = 30_000;
const renewMs = 10_000;
// Printable ASCII, as HTTP allows in the value of a header.
const keyShape = /^[\x21-\x7e]{1,255}$/;

export interface KeyHold {
  readonly kind: 'held';
  readonly key: HeldKey;
  /** Another attempt held the key before, and may have done the request. */
  readonly tookOver: boolean;
  /** To be called when the request is no longer handled: from then on the hold runs out, unless it was settled. */
  readonly end: () => void;
}

/** Takes the key for this call, or gives the answer instead. Null: the caller sent no key. */
export async function holdKey(call: Call, path: string, raw: RawBody): Promise<KeyHold | Reply | null> {
  const key = call.request.headers['idempotency-key'];
  if (key === undefined) return null;
  if (typeof key !== 'string' || !keyShape.test(key)) {
    const message = 'must be 1 to 255 printable ASCII characters without spaces';
    return invalid(`the header Idempotency-Key ${message}`, [
      { pointer: '/headers/idempotency-key', message },
    ]);
  }
  const held: HeldKey = {
    principal: principalOf(call).id,
    method: call.request.method ?? '',
    path,
    key,
    holder: randomUUID(),
  };
  const { pool } = call.deps;
  const budget = await keyBudget(pool, held.principal, call.deps.now());
  const { mayAdd } = budget;
  const found = await claimKey(pool, held, {
    bodyHash: bodyHash(raw),
    idBase: call.idBase,
    holdMs,
    mayAdd,
  });
  switch (found.kind) {
    case 'full':
      return refuseTooManyKeys(call, budget);
    case 'claimed': {
      noteKey(pool, held.principal);
      const tookOver = found.idBase !== call.idBase;
      call.idBase = found.idBase;
      call.heldKey = held;
      return { kind: 'held', key: held, tookOver, end: keepRenewing(pool, held) };
    }
    case 'replay':
      return replay(call, found);
    case 'reused':
      return problem(
        'IDEMPOTENCY_KEY_REUSED',
        `the idempotency key \`${key}\` was used with another body: take a new key`,
      );
    case 'in_progress':
      return problem(
        'IDEMPOTENCY_IN_PROGRESS',
        `a request with the idempotency key \`${key}\` is in progress: ask again`,
        {},
        { 'Retry-After': '1' },
      );
  }
}

/** Renews the hold, so that nobody takes the key over while this process handles the request. Gives what stops it. */
function keepRenewing(pool: Pool, key: HeldKey): () => void {
  const timer = setInterval(() => {
    // If the store is away, the next round tries again: it may be back before the hold runs out.
    renewKey(pool, key, holdMs).then(
      (isHeld) => (isHeld ? undefined : clearInterval(timer)),
      () => undefined,
    );
  }, renewMs);
  timer.unref();
  return () => clearInterval(timer);
}

/** Without a key the request may be sent all the same; but then a repeat could not be recognised. */
function refuseTooManyKeys(call: Call, { keys, until }: KeyBudget): Problem {
  const from = until ?? new Date(call.deps.now().getTime() + 3_600_000).toISOString();
  const seconds = Math.ceil((Date.parse(from) - call.deps.now().getTime()) / 1_000);
  return problem(
    'RATE_LIMITED',
    `\`${principalOf(call).id}\` has used ${keys} idempotency keys in the last 24 hours; at most ${mostKeys} keys, and ${mostKeptBytes / 1_048_576} MiB of answers kept under them, are allowed: the oldest key expires at ${from}`,
    { limit: mostKeys, until: from },
    { 'Retry-After': String(Math.max(1, seconds)) },
  );
}

/** Two texts of the same JSON count as the same body. */
function bodyHash(raw: RawBody): string {
  const parsed = raw.media === 'application/json' ? jsonOf(raw) : null;
  const content = parsed?.status === 'ok' ? canonical(parsed.value) : raw.bytes;
  return createHash('sha256').update(content).digest('hex');
}

function replay(call: Call, stored: KeptAnswer): Answer | Problem {
  const text = openKept(call, stored);
  if (text === null) return problem('KEY_UNOPENED', keptUnopened, {}, { 'Retry-After': '2' });
  call.replayed = true;
  return {
    kind: 'answer',
    status: stored.status,
    headers: { ...stored.headers, 'Idempotency-Replayed': 'true' },
    ...(text === '' ? {} : { body: text, media: stored.headers['Content-Type'] ?? 'application/json' }),
  };
}

const keptUnopened =
  'this request was answered, and the answer that is kept under its Idempotency-Key does not open here; see that every process of the service has the `COUNTERSIGN_KEK` (or `keys/kek` of the data folder) under which it was kept, and repeat the request under the same Idempotency-Key: another key would have it done twice';

/** The text of a kept answer; null: it was sealed under another key-encryption key, or changed. */
function openKept(call: Call, { response }: KeptAnswer): string | null {
  try {
    return unseal(call.deps.answerKey, Buffer.from(response, 'base64')).toString('utf8');
  } catch (error) {
    call.deps.onInternalError(`${traceIdOf(call)}: an answer that is kept under its Idempotency-Key`, error);
    return null;
  }
}

/** Whether an answer of this status is kept: not where the next attempt may be answered differently (docs/spec/api.md). */
function isKept(status: number): boolean {
  return (
    (status >= 200 && status < 300) || (status >= 400 && status < 500 && ![401, 408, 429].includes(status))
  );
}

/** The answer asks to send the same request again. In a 202, `Retry-After` only says when to look what came of it. */
function asksToRepeat(status: number, reply: Reply): boolean {
  return status !== 202 && reply.kind !== 'stream' && reply.headers?.['Retry-After'] !== undefined;
}

/** The answer to an attempt whose request another attempt has taken over. */
export const takenOver = problem(
  'IDEMPOTENCY_IN_PROGRESS',
  'another attempt of this request has taken it over, and its answer counts: ask again',
  {},
  { 'Retry-After': '1' },
);

/**
 * Keeps the answer for repeats, or releases the key. Gives what is to be answered: if another attempt has taken the key over
 * meanwhile, the other's answer, whatever this attempt has done.
 */
export async function settle(
  call: Call,
  { looksOnly }: Route,
  { key }: KeyHold,
  { raw, reply }: { readonly raw: RawBody; readonly reply: Reply },
): Promise<Reply> {
  const { pool } = call.deps;
  const status = reply.kind === 'problem' ? statusOf(reply) : reply.kind === 'answer' ? reply.status : 0;
  const read = looksOnly === undefined ? null : jsonOf(raw);
  if (read?.status === 'ok' && looksOnly?.(read.value) === true)
    return (await forgetKey(pool, key)) ? reply : takenOver;
  if (!isKept(status) || asksToRepeat(status, reply) || reply.kind === 'stream')
    return (await releaseKey(pool, key)) ? reply : takenOver;
  const text = bodyText(call, reply);
  const media = reply.kind === 'problem' ? 'application/problem+json' : 'application/json';
  const headers = { ...reply.headers, ...(text === '' ? {} : { 'Content-Type': media }) };
  const response = seal(call.deps.answerKey, text).toString('base64');
  if (await keepAnswer(pool, key, { status, headers, response })) {
    noteKept(pool, key.principal, response.length);
    return reply;
  }
  const other = await findKeptAnswer(pool, key);
  return other === null ? takenOver : replay(call, other);
}

/** Releases the key, and keeps no answer: the next attempt goes on with what an earlier one may have done. */
export async function letGo(call: Call, { key }: KeyHold): Promise<void> {
  await releaseKey(call.deps.pool, key);
}

function bodyText(call: Call, reply: Answer | Problem): string {
  if (reply.kind === 'problem') return JSON.stringify(problemBody(reply, traceIdOf(call)));
  // By now the body has been written as text.
  return reply.body === undefined ? '' : String(reply.body);
}
