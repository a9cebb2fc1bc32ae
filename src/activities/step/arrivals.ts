import {
  closedStatuses,
  type Answer,
  type ApprovalStatus,
  type Event,
  type Refusal,
  type RunState,
} from '../../engine/state.js';
import type { Bell, Message, MessageRefusal, SignedMessage } from '../../model/message.js';
import { startMessageId } from '../../model/names/derived-ids.js';
import type { Principal } from '../../model/principal.js';
import type { JsonObject } from '../../model/values/json.js';
import { isObject } from '../../model/values/json.js';
import type { Fact } from '../../model/records.js';
import { PayloadKeyUnopened } from '../../audit/index.js';
import { openMessage } from '../../auth/index.js';
import { isUnavailable, together, type Tx } from '../../db/index.js';
import { giveWayBefore, makeTurns } from '../../model/give-way.js';
import { listAttempts } from '../../store/runs/actions.js';
import { getApprovalStatus } from '../../store/approvals/approvals.js';
import { documentOf } from '../../store/runs/document.js';
import {
  countBell,
  foreignMessages,
  lockMessages,
  type LockedMessage,
  type MessageRow,
} from '../../store/runs/messages.js';
import type { ListedRun, RunRow } from '../../store/runs/runs.js';
import { abandon } from '../execute/abandoned.js';
import type { ActivityDeps } from '../deps.js';
import type { ArrivedValue } from './document.js';
import type { TakenMessage } from './persist.js';
import type { Arrival } from '../types.js';

// From a bell to the event that the engine decides on: reads the message of the store that the bell names, verified, with its values.

export interface Incoming {
  /** The event, given the time of the decision (taken behind the lock on the run); null: there is nothing to decide. */
  readonly event: (time: string) => Event | null;
  /** The message that is taken with it. */
  readonly taken: TakenMessage | null;
  /** The answer to the sender of a message that cannot be taken. */
  readonly answer: { readonly id: string; readonly said: Answer } | null;
  readonly values: readonly ArrivedValue[];
  /** Records that come before those of the decision. */
  readonly facts?: (run: RunState) => readonly Fact[];
}

/** Reasons are cut: anybody may start a workflow of our type and give a reason of any length. */
const longestReason = 300;

const nothing: Incoming = { event: () => null, taken: null, answer: null, values: [] };
const readNothing = (): Incoming => nothing;

/** The messages that these arrivals name, locked until the transaction ends. */
export function lockNamed(tx: Tx, run: string, arrivals: readonly Arrival[]): Promise<LockedMessage[]> {
  return lockMessages(tx, run, [...new Set(bellsIn(arrivals).map(({ id }) => id))]);
}

function bellsIn(arrivals: readonly Arrival[]): Bell[] {
  return arrivals.flatMap((arrival) => (arrival.kind === 'message' ? [arrival.bell] : []));
}

/** Reads what these arrivals bring. `named`: the result of `lockNamed`. `time`: the store's, taken behind the lock on the run. */
export async function readArrivals(
  deps: ActivityDeps,
  tx: Tx,
  row: RunRow,
  arrivals: readonly Arrival[],
  { named, time }: { readonly named: readonly LockedMessage[]; readonly time: string },
): Promise<Incoming[]> {
  const known = new Map(named.map((message) => [message.id, message]));
  const missing = bellsIn(arrivals).flatMap(({ id }) => (known.has(id) ? [] : [id]));
  const foreign = missing.length === 0 ? new Set<string>() : await foreignMessages(tx, row.id, missing);
  const seen = new Set<string>();
  const turn = makeTurns();
  const openBell = (bell: Bell): FinishReading => {
    const message = known.get(bell.id);
    if (message === undefined)
      return () => refuseBell(bell, foreign.has(bell.id) ? 'wrong_run' : 'unknown_message');
    if (!isNamedBy(message, bell)) return () => refuseBell(bell, 'bad_signature');
    // Two bells may name the same message.
    if (seen.has(bell.id)) return readNothing;
    seen.add(bell.id);
    return openNamed(deps, tx, row, message);
  };
  const readings: FinishReading[] = [];
  for (const arrival of arrivals) {
    await turn();
    readings.push(
      arrival.kind === 'message' ? openBell(arrival.bell) : () => readOther(tx, row, arrival, time),
    );
  }
  return together(readings.map((read) => read()));
}

/** The part of reading an arrival that asks the store, once its message is verified. */
type FinishReading = () => Promise<Incoming> | Incoming;

/** The messages that the bells among these arrivals name and that no step has taken, unopened. */
export async function takeUnread(tx: Tx, run: string, arrivals: readonly Arrival[]): Promise<TakenMessage[]> {
  const bells = bellsIn(arrivals);
  return (await lockNamed(tx, run, arrivals))
    .filter((message) => message.rev === null && message.answer === null && !message.isWithdrawn)
    .filter((message) => bells.some((bell) => bell.id === message.id && isNamedBy(message, bell)))
    .map(({ id, kind }) => ({ id, kind, bells: 1 }));
}

/** Who has signed the start of the run, where it is among these arrivals; null: it is not, or it is not signed. */
export async function findStarter(
  { publicKey }: Pick<ActivityDeps, 'publicKey'>,
  tx: Tx,
  { id: run, environment }: ListedRun,
  arrivals: readonly Arrival[],
): Promise<Principal | null> {
  const [sealed] = await lockMessages(tx, run, [startMessageId(run)]);
  if (sealed === undefined) return null;
  if (!bellsIn(arrivals).some((bell) => bell.id === sealed.id && isNamedBy(sealed, bell))) return null;
  const opened = openMessage(sealed, { run, environment, publicKey: () => publicKey(sealed) });
  return opened.status === 'ok' ? opened.message.principal : null;
}

function isNamedBy(message: MessageRow, bell: Bell): boolean {
  const { kind, digest, keyId, signature } = message;
  return kind === bell.kind && digest === bell.digest && keyId === bell.keyId && signature === bell.signature;
}

async function readOther(
  tx: Tx,
  row: RunRow,
  arrival: Exclude<Arrival, { kind: 'message' }>,
  time: string,
): Promise<Incoming> {
  switch (arrival.kind) {
    case 'garbage':
      return refuseSignal(arrival.name, arrival.reason, null);
    case 'look':
    case 'time':
      return nothing;
    case 'abandoned':
      return row.executing === arrival.action ? readAbandoned(tx, row, arrival, time) : nothing;
  }
}

function refuseBell({ id, kind, digest }: Bell, reason: MessageRefusal): Incoming {
  return refuseSignal(kind, reason, { id, digest });
}

function refuseSignal(
  name: string,
  reason: MessageRefusal,
  message: { readonly id: string; readonly digest: string } | null,
): Incoming {
  return { ...nothing, event: (time) => ({ kind: 'refused_message', time, reason, name, message }) };
}

function openNamed(deps: ActivityDeps, tx: Tx, row: RunRow, message: LockedMessage): FinishReading {
  if (message.isWithdrawn) return readNothing;
  if (message.rev === null && message.answer === null) return openStored(deps, tx, row, message, 1);
  const { id, digest } = message;
  return async () =>
    (await countBell(tx, id)) === 'replayed'
      ? refuseSignal(message.kind, 'replayed', { id, digest })
      : nothing;
}

/** Reads a message that no step has taken: verified, with its values. Where it cannot be read it is refused, and its sender is told. */
export async function readStored(...given: Parameters<typeof openStored>): Promise<Incoming> {
  return openStored(...given)();
}

function openStored(
  deps: ActivityDeps,
  tx: Tx,
  row: RunRow,
  sealed: LockedMessage,
  bells: number,
): FinishReading {
  const taken: TakenMessage = { id: sealed.id, kind: sealed.kind, bells };
  const opened = openMessage(sealed, {
    run: row.id,
    environment: row.environment,
    publicKey: () => deps.publicKey(sealed),
  });
  return async () => {
    if (opened.status === 'refused') return refuseMessage(sealed, taken, opened.reason);
    const withValues = await readValues(deps, tx, opened.message).catch((error: unknown) => {
      if (error instanceof PayloadKeyUnopened && isEnding(row)) return error;
      throw error;
    });
    if (withValues instanceof PayloadKeyUnopened) return refuseUnopened(sealed, taken);
    if (withValues === null) return refuseMessage(sealed, taken, 'undecodable');
    const { message, values } = withValues;
    const settledAs = await readApprovalStatus(tx, row, message);
    return { ...nothing, taken, values, event: (time) => ({ kind: 'message', time, message, settledAs }) };
  };
}

/** Is the run to end with the effect that is under way, whatever else arrives? Then nothing needs its values. */
export function isToEnd({
  executing,
  cancelRequested,
}: Readonly<Record<'executing' | 'cancelRequested', unknown>>): boolean {
  return executing !== null && cancelRequested !== null;
}

/** The values of a message to such a run, or to one that has ended, are not waited for. */
function isEnding(row: RunRow): boolean {
  const document = documentOf(row);
  return document !== null && (isToEnd(document) || closedStatuses.includes(document.status));
}

/** Refuses a message to a run that ends: its values are not needed to say so. */
function refuseUnopened(sealed: MessageRow, taken: TakenMessage): Incoming {
  return refuseMessage(sealed, taken, 'undecodable', {
    code: 'RUN_CLOSED',
    message: 'the run has ended, or is to end',
  });
}

/**
 * Reads messages that a step has found in the store without a bell. A message over which our own code fails is refused, on
 * record, since every later step would find it again. Throws only where the store is away, or where its values do not open here
 * and the run goes on (`isClosed` says no): they open later, or elsewhere.
 */
export async function readEachOrRefuse(
  deps: ActivityDeps,
  tx: Tx,
  row: RunRow,
  waiting: readonly LockedMessage[],
  isClosed: () => boolean,
): Promise<Incoming[]> {
  const read: Incoming[] = [];
  // One at a time, each behind a savepoint: a statement that fails would undo the whole transaction.
  for (const sealed of waiting) {
    await tx.query('savepoint swept');
    try {
      read.push(await readStored(deps, tx, row, sealed, 0));
    } catch (error) {
      const isUnopened = error instanceof PayloadKeyUnopened;
      if (isUnavailable(error) || (isUnopened && !isClosed())) throw error;
      deps.onInternalError(`message \`${sealed.id}\` of run \`${row.id}\`, which is refused`, error);
      await tx.query('rollback to savepoint swept');
      const taken: TakenMessage = { id: sealed.id, kind: sealed.kind, bells: 0 };
      read.push(isUnopened ? refuseUnopened(sealed, taken) : refuseMessage(sealed, taken, 'undecodable'));
    }
  }
  return read;
}

function refuseMessage(
  sealed: MessageRow,
  taken: TakenMessage,
  reason: MessageRefusal,
  why: Pick<Refusal, 'code' | 'message'> = {
    code: 'INTERNAL',
    message: `the run refused the message: ${reason}`,
  },
): Incoming {
  const { id, kind, digest } = sealed;
  const said: Answer = { status: 'refused', ...why };
  return { ...refuseSignal(kind, reason, { id, digest }), taken, answer: { id, said } };
}

/** The stored status of the approval that a message decides, since the run's document drops approvals that have ended; null: there is none. */
async function readApprovalStatus(tx: Tx, row: RunRow, { body }: Message): Promise<ApprovalStatus | null> {
  if (body.kind !== 'decide') return null;
  const approval = await getApprovalStatus(tx, body.approval);
  return approval === null || approval.run !== row.id ? null : approval.status;
}

async function readValues(
  deps: ActivityDeps,
  tx: Tx,
  signed: SignedMessage,
): Promise<{ readonly message: Message; readonly values: readonly ArrivedValue[] } | null> {
  const { environment, body, ...envelope } = signed;
  if (body.kind !== 'start' && body.kind !== 'submit') return { message: { ...envelope, body }, values: [] };
  const ref = signed.refs.find(({ role }) => role === (body.kind === 'start' ? 'input' : 'args'));
  const bytes = ref === undefined ? null : await deps.payloads.get(tx, ref);
  if (ref === undefined || bytes === null) return null;
  await giveWayBefore(bytes.length);
  const text = bytes.toString('utf8');
  const value = parseObject(text);
  if (value === null) return null;
  const values = [{ message: signed.id, text, ref }];
  return body.kind === 'start'
    ? { message: { ...envelope, body: { ...body, environment, input: value } }, values }
    : { message: { ...envelope, body: { ...body, arguments: value } }, values };
}

function parseObject(text: string): JsonObject | null {
  try {
    const value: unknown = JSON.parse(text);
    return isObject(value) ? value : null;
  } catch {
    return null;
  }
}

/** Makes the outcome of an effect that will have no other outcome any more. */
async function readAbandoned(
  tx: Tx,
  row: RunRow,
  { action, reason }: Extract<Arrival, { kind: 'abandoned' }>,
  time: string,
): Promise<Incoming> {
  const document = documentOf(row);
  const isToEnd = document !== null && (document.cancelRequested !== null || document.timeoutDue);
  const why = isToEnd || reason === undefined ? null : String(reason).slice(0, longestReason).toWellFormed();
  const attempts = await listAttempts(tx, action);
  const under = document?.executing?.action;
  const key = under?.id === action ? under.idempotencyKey : null;
  const { result, fact } = await abandon(tx, { action, key }, attempts, why, time);
  return {
    ...nothing,
    event: (time) => ({ kind: 'outcome', time, action, result }),
    facts: ({ executing }) => (executing?.action.id === action ? [fact(executing)] : []),
  };
}
