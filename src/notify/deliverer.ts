import { isOpen } from '../model/approval-status.js';
import type { Channel, NotificationPolicy } from '../model/contract/notifications.js';
import type { OnInternalError } from '../model/internal-error.js';
import type { JsonObject } from '../model/values/json.js';
import { truncate } from '../model/values/text.js';
import type { ServiceChain } from '../audit/index.js';
import type { Pool, Tx } from '../db/index.js';
import type { ReferenceSource } from '../executors/types.js';
import {
  claimNotifications,
  findGoneAddresses,
  keepNotification,
  findLastMemo,
  settleNotification,
  type NotificationRow,
  type NotificationStatus,
} from '../store/notifications.js';
import { deliver } from './deliver.js';
import { mostAttempts, nextDelayMs } from './schedule.js';
import type { Delivered, Notification, WebhookKey } from './types.js';

export interface DelivererDeps {
  readonly pool: Pool;
  readonly transaction: <T>(fn: (tx: Tx) => Promise<T>) => Promise<T>;
  readonly isUnavailable: (error: unknown) => boolean;
  readonly chain: ServiceChain;
  /** The notification policy of the policy set in force. */
  readonly policy: () => Promise<NotificationPolicy | null>;
  /** The approval's body as the API shows it; null: there is none. */
  readonly body: (approval: string) => Promise<JsonObject | null>;
  /** The path of a new single-use link; null if this person may not decide the approval. */
  readonly link: (approval: string, principal: string) => Promise<string | null>;
  readonly references: ReferenceSource;
  readonly webhookKey: WebhookKey;
  readonly now: () => Date;
  readonly observe: (channel: string, outcome: Outcome) => void;
  readonly onInternalError: OnInternalError;
  /** How long an attempt may take. */
  readonly attemptMs?: number;
  /** A process that has claimed a message and is silent for this long counts as dead. */
  readonly leaseMs?: number;
  readonly random?: () => number;
}

export interface Deliverer {
  start(): void;
  /** Says that something may be due. */
  wake(): void;
  /** Gives back what is under way; another process tries it again. */
  stop(): Promise<void>;
}

type Outcome = 'delivered' | 'retry' | 'failed' | 'superseded';

const pollMs = 1_000;
const mostAtOnce = 16;
/** Attempts of a channel at a time, so that a slow receiver does not keep the others waiting. */
const mostPerChannel = 4;
const attemptMs = 20_000;
const leaseMs = 60_000;

interface DelivererState {
  readonly deps: DelivererDeps;
  readonly stopping: AbortSignal;
  /** The attempts under way, with their channels. */
  readonly underWay: Map<Promise<void>, string>;
  readonly wake: () => void;
}

/** Makes a deliverer, which delivers due messages, each at least once, until it is stopped. Any number of processes may run one. */
export function makeDeliverer(deps: DelivererDeps): Deliverer {
  const stopping = new AbortController();
  let wake = (): void => undefined;
  let woken = false;
  let running: Promise<void> = Promise.resolve();
  const state: DelivererState = {
    deps,
    stopping: stopping.signal,
    underWay: new Map(),
    wake: () => {
      woken = true;
      wake();
    },
  };
  const pause = (): Promise<void> =>
    new Promise((resolve) => {
      const timer = setTimeout(resolve, pollMs);
      timer.unref();
      wake = () => {
        clearTimeout(timer);
        resolve();
      };
      if (woken) wake();
    });
  const loop = async (): Promise<void> => {
    while (!stopping.signal.aborted) {
      woken = false;
      await deliverDue(state).catch((error: unknown) => noteError(deps, error));
      await pause();
    }
    await Promise.all(state.underWay.keys());
  };
  return {
    start: () => {
      running = loop();
    },
    wake: state.wake,
    stop: async () => {
      stopping.abort();
      state.wake();
      await running;
    },
  };
}

async function deliverDue(state: DelivererState): Promise<void> {
  const { deps, underWay } = state;
  const free = mostAtOnce - underWay.size;
  if (free <= 0) return;
  const channels = [...underWay.values()];
  const without = [...new Set(channels)].filter(
    (name) => channels.filter((channel) => channel === name).length >= mostPerChannel,
  );
  const limit = Math.min(free, mostPerChannel);
  const rows = await claimNotifications(deps.pool, { limit, leaseMs: deps.leaseMs ?? leaseMs, without });
  for (const row of rows) {
    const attempt: Promise<void> = attemptDelivery(state, row)
      .catch((error: unknown) => noteError(deps, error))
      .finally(() => {
        underWay.delete(attempt);
        state.wake();
      });
    underWay.set(attempt, row.channel);
  }
  if (rows.length === limit) state.wake();
}

function noteError({ isUnavailable, onInternalError }: DelivererDeps, error: unknown): void {
  if (!isUnavailable(error)) onInternalError('notifications', error);
}

interface Attempted {
  readonly channel: Channel | null;
  readonly body: JsonObject | null;
  readonly delivered: Delivered | { readonly status: 'superseded'; readonly detail: string };
}

async function attemptDelivery(state: DelivererState, row: NotificationRow): Promise<void> {
  const attempted = await deliverOrRetry(state, row);
  await settleAttempt(state, row, attempted);
}

/** An error of this program is tried again like any other failure. If the store is away, the message waits until its lease ends. */
async function deliverOrRetry(state: DelivererState, row: NotificationRow): Promise<Attempted> {
  try {
    return await deliverNow(state, row);
  } catch (error) {
    const { deps } = state;
    if (deps.isUnavailable(error)) throw error;
    // The error may contain what was sent, so only its name is kept.
    const name = error instanceof Error ? error.name : 'unknown';
    deps.onInternalError(`notification \`${row.id}\` by channel \`${row.channel}\``, name);
    const delivered = { status: 'retry', detail: `the attempt broke off (${name})` } as const;
    return { channel: null, body: null, delivered };
  }
}

async function deliverNow({ deps, stopping }: DelivererState, row: NotificationRow): Promise<Attempted> {
  const policy = await deps.policy();
  const channel = policy?.channels.find(({ name }) => name === row.channel) ?? null;
  const body = await deps.body(row.approval);
  const failed = (detail: string): Attempted => ({ channel, body, delivered: { status: 'failed', detail } });
  if (policy === null || channel === null)
    return failed(`no policy declares channel \`${row.channel}\` any more`);
  if (body === null) return failed('its approval is not there any more');
  const recipient =
    channel.kind === 'email' ? channel.to.find(({ address }) => address === row.recipient) : null;
  if (recipient === undefined) return failed(`channel \`${row.channel}\` has this recipient no more`);
  if (isOver(channel, row, body))
    return {
      channel,
      body,
      delivered: { status: 'superseded', detail: 'it was settled before it could be told' },
    };
  const signal = AbortSignal.any([AbortSignal.timeout(deps.attemptMs ?? attemptMs), stopping]);
  const path =
    recipient === null || recipient.principal === null || policy.publicUrl === null || !isOpen(body['status'])
      ? null
      : await deps.link(row.approval, recipient.principal);
  const notification: Notification = {
    id: row.id,
    event: row.event,
    approval: row.approval,
    run: row.run,
    at: row.createdAt,
    attempt: row.attempts,
    recipient: row.recipient,
    body,
    url:
      policy.publicUrl === null ? null : `${policy.publicUrl}/approvals/${encodeURIComponent(row.approval)}`,
    link: path === null || policy.publicUrl === null ? null : `${policy.publicUrl}${path}`,
    earlier: await findLastMemo(deps.pool, row),
  };
  const { references, now, webhookKey } = deps;
  return {
    channel,
    body,
    delivered: await deliver(channel, notification, {
      references,
      signal,
      now,
      webhookKey,
      longer: (ms) => {
        const kept = keepNotification(deps.pool, row, ms + (deps.leaseMs ?? leaseMs));
        void kept.catch((error: unknown) => noteError(deps, error));
        return AbortSignal.any([AbortSignal.timeout(ms), stopping]);
      },
      gone: () => findGoneAddresses(deps.pool, row.channel),
    }),
  };
}

/** Whether there is no use in telling: people are not asked about what is settled. Programs are told everything. */
function isOver(channel: Channel, { event }: NotificationRow, body: JsonObject): boolean {
  return (
    channel.kind !== 'webhook' &&
    ['requested', 'reminder', 'escalated'].includes(event) &&
    !isOpen(body['status'])
  );
}

interface Verdict {
  readonly outcome: Outcome;
  readonly status: NotificationStatus;
  readonly afterMs: number;
}

function decideOutcome(
  { deps, stopping }: DelivererState,
  { attempts }: NotificationRow,
  delivered: Attempted['delivered'],
): Verdict {
  if (delivered.status !== 'retry')
    return { outcome: delivered.status, status: delivered.status, afterMs: 0 };
  if (stopping.aborted) return { outcome: 'retry', status: 'waiting', afterMs: 0 };
  const afterMs = nextDelayMs(attempts, delivered.afterMs ?? 0, (deps.random ?? Math.random)());
  return afterMs === null
    ? { outcome: 'failed', status: 'failed', afterMs: 0 }
    : { outcome: 'retry', status: 'waiting', afterMs };
}

/** Stores the outcome and its record in one transaction. */
async function settleAttempt(
  state: DelivererState,
  row: NotificationRow,
  { channel, body, delivered }: Attempted,
): Promise<void> {
  const { deps } = state;
  const { outcome, status, afterMs } = decideOutcome(state, row, delivered);
  const detail = truncate(delivered.detail, 500);
  const memo = memoOf(delivered);
  const time = deps.now().toISOString();
  const settled = await deps.transaction(async (tx) => {
    if (!(await settleNotification(tx, row, { status, detail, memo, afterMs }))) return false;
    await deps.chain.appendIn(tx, [
      {
        key: `notified:${row.id}:${row.attempts}`,
        type: 'approval.notified',
        time,
        actor: { kind: 'runtime', id: 'countersign' },
        approval: row.approval,
        about: row.run,
        flow: textOf(body, 'flow'),
        environment: textOf(body, 'environment'),
        data: {
          message: row.id,
          event: row.event,
          channel: row.channel,
          kind: channel?.kind ?? 'unknown',
          outcome,
          attempt: row.attempts,
          attemptsLeft: status === 'waiting' ? mostAttempts - row.attempts : 0,
          detail,
          ...recipientOf(channel, row),
        },
      },
    ]);
    return true;
  });
  if (settled) deps.observe(row.channel, outcome);
}

function memoOf(delivered: Attempted['delivered']): string | null {
  if (delivered.status === 'delivered') return delivered.memo ?? null;
  return delivered.status === 'failed' ? (delivered.gone ?? null) : null;
}

function textOf(body: JsonObject | null, name: string): string {
  const value = body?.[name];
  return typeof value === 'string' ? value : '';
}

/** The recipient as the record names it, which is kept for good: a person by their id, an address only as a hint. */
function recipientOf(channel: Channel | null, { recipient }: NotificationRow): JsonObject {
  if (recipient === '') return {};
  const principal =
    channel?.kind === 'email' ? channel.to.find(({ address }) => address === recipient)?.principal : null;
  return { recipient: principal ?? recipient.replace(/^(.)[^@]*@/, '$1…@') };
}
