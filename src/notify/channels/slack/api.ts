import {
  exchange,
  readCapped,
  parseRetryAfter,
  type Exchange,
} from '../../../executors/connections/network.js';
import { resolveTexts } from '../../../executors/connections/references.js';
import { isObject, type Json, type JsonObject } from '../../../model/values/json.js';
import type { SlackChannel } from '../../../model/contract/notifications.js';
import type { Around } from '../../types.js';

// Makes a call of Slack's Web API. The detail of a failure is Slack's error code or a sentence written here, and never holds a token.

export type SlackAnswer =
  | { readonly status: 'ok'; readonly body: JsonObject }
  | { readonly status: 'retry'; readonly detail: string; readonly afterMs?: number }
  /** `error`: Slack's error code, if there is one. */
  | { readonly status: 'failed'; readonly detail: string; readonly error?: string };

export type SlackAround = Pick<Around, 'references' | 'signal' | 'now'>;

const longestAnswer = 1_048_576;
const longestWaitMs = 3_600_000;
const defaultWaitMs = 30_000;
/** Slack's error codes for faults of its own, and for faults that pass. */
const passingErrors: readonly string[] = [
  'ratelimited',
  'rate_limited',
  'internal_error',
  'fatal_error',
  'service_unavailable',
  'request_timeout',
];
/** Slack's error codes about this very message. All others an operator can correct: who was invited, what a token may do, a channel's name. */
const messageErrors: readonly string[] = [
  'message_not_found',
  'cant_update_message',
  'edit_window_closed',
  'thread_not_found',
  'cannot_reply_to_message',
  'msg_too_long',
  'msg_blocks_too_long',
  'invalid_blocks',
  'invalid_blocks_format',
  'invalid_arguments',
  'no_text',
];

export async function callSlack(
  channel: SlackChannel,
  method: string,
  body: JsonObject,
  { references, signal, now }: SlackAround,
): Promise<SlackAnswer> {
  const resolved = await resolveTexts([channel.token], references);
  if (resolved.status === 'missing') return { status: 'retry', detail: resolved.message };
  const base = new URL(channel.api);
  if (base.protocol !== 'https:' && !channel.allowPrivate)
    return {
      status: 'failed',
      detail: 'its `api` is not https: a token does not go in the open; set `allowPrivate: true` for a test',
    };
  const exchanged = await exchange({
    base,
    path: `${base.pathname.replace(/\/$/, '')}/${method}`,
    method: 'POST',
    headers: {
      authorization: `Bearer ${resolved.texts[0] ?? ''}`,
      'content-type': 'application/json; charset=utf-8',
      'user-agent': 'countersign',
    },
    body: JSON.stringify(body),
    allowPrivate: channel.allowPrivate,
    signal,
  });
  const answer = await judgeExchange(exchanged, signal, now().getTime());
  return 'detail' in answer ? { ...answer, detail: resolved.mask.text(answer.detail) } : answer;
}

async function judgeExchange(exchanged: Exchange, signal: AbortSignal, now: number): Promise<SlackAnswer> {
  if (exchanged.status === 'refused')
    return {
      status: exchanged.isPrivate === true ? 'failed' : 'retry',
      detail: `Slack: ${exchanged.message}`,
    };
  if (exchanged.status === 'failed')
    return {
      status: 'retry',
      detail: signal.aborted ? 'Slack gave no answer in time' : `Slack: ${exchanged.message}`,
    };
  const { response } = exchanged;
  const status = response.statusCode ?? 0;
  const afterMs = Math.min(
    parseRetryAfter(response.headers['retry-after'], now) ?? defaultWaitMs,
    longestWaitMs,
  );
  const read = await readCapped(response, longestAnswer);
  if (status === 429) return { status: 'retry', detail: 'Slack asks to wait (429)', afterMs };
  if (status !== 200) return { status: 'retry', detail: `Slack answered ${status}` };
  if (read.status !== 'read') return { status: 'retry', detail: "Slack's answer broke off" };
  return readSlackAnswer(read.bytes, afterMs);
}

function readSlackAnswer(bytes: Buffer, afterMs: number): SlackAnswer {
  const body = parseObject(bytes);
  if (body === null) return { status: 'retry', detail: "Slack's answer is not JSON" };
  if (body['ok'] === true) return { status: 'ok', body };
  const error = body['error'];
  // A longer text could contain what was sent.
  if (typeof error !== 'string' || !/^[a-z0-9_]{1,80}$/.test(error))
    return { status: 'retry', detail: 'Slack refused it and did not say why' };
  const detail = `Slack said \`${error}\``;
  if (passingErrors.includes(error)) return { status: 'retry', detail, afterMs };
  return messageErrors.includes(error)
    ? { status: 'failed', detail, error }
    : { status: 'retry', detail: `${detail}: see to it, it is tried again` };
}

function parseObject(bytes: Buffer): JsonObject | null {
  try {
    const value = JSON.parse(bytes.toString('utf8')) as Json;
    return isObject(value) ? value : null;
  } catch {
    return null;
  }
}
