import type { MessageKind, SealedMessage } from '../model/message.js';
import { mostDocumentBytes, mostOpenApprovals, mostOpenBytes, mostUnanswered } from '../model/limits.js';
import { busyText, closedStatuses, type Answer, type Refusal } from '../engine/state.js';
import { isUnavailable, together, withTransaction, type Pool, type Tx } from '../db/index.js';
import { documentOf } from '../store/document.js';
import {
  countUnanswered,
  getAnswer,
  getMessage,
  withdrawMessage,
  type Unanswered,
} from '../store/messages.js';
import { getRun, lockForAsking, lockRunForShare, type RunRow } from '../store/runs.js';
import {
  bytesOf,
  currentId,
  readSeal,
  refuseTooLarge,
  storeMessages,
  type MessageDraft,
  type Stored,
} from './attest.js';
import { ringFor } from './bells.js';
import type { Asking, MessageOutcome } from './types.js';
import type { ClientDeps } from './deps.js';
import { makeRunQueues, type RunQueues } from './run-queues.js';
import type { Waiter } from './waiter.js';

// The one way of every request to a run: refused by what the store knows, or kept, rung for, and its answer waited for.

export interface Posting {
  readonly run: string;
  readonly id: string;
  readonly kind: MessageKind;
  readonly waitMs: number;
  readonly make: (row: RunRow, id: string) => Omit<MessageDraft, 'id' | 'run' | 'environment'>;
  /** What else is durable with it. */
  readonly beside?: (tx: Tx, { message, refs }: Stored) => Promise<void>;
  /** The version that the caller has seen, for a submit. */
  readonly expectedVersion?: number | null;
  /** As the request has it. */
  readonly whileOurs?: Asking['whileOurs'];
  /** What else the store knows against it, behind the lock on its run. */
  readonly refuse?: (tx: Tx) => Promise<Refusal | null>;
}

type Kept =
  | { readonly kind: 'kept'; readonly row: RunRow; readonly message: SealedMessage; readonly isNew: boolean }
  | { readonly kind: 'refused'; readonly refusal: Refusal }
  /** Its turn did not come in time: nothing is stored of it. */
  | { readonly kind: 'late' };

const patienceMs = 10_000;
const queuesByPool = new WeakMap<Pool, RunQueues>();

/** At most three fifths of the connections are for requests to runs, so that reads always find one. */
function runQueuesOf(pool: Pool): RunQueues {
  const atOnce = Math.max(1, Math.floor((pool.options.max * 3) / 5));
  const limits = { perRun: 2, atOnce, mostWaiting: mostUnanswered, patienceMs };
  const queues = queuesByPool.get(pool) ?? makeRunQueues(limits);
  queuesByPool.set(pool, queues);
  return queues;
}

export async function post(deps: ClientDeps, waiter: Waiter, posting: Posting): Promise<MessageOutcome> {
  const kept = await keepInTurn(deps, posting);
  if (kept.kind === 'late')
    return {
      status: 'unavailable',
      code: 'AUDIT_UNAVAILABLE',
      message: `others were before this, and its turn did not come within ${patienceMs / 1_000} s: nothing of it is kept for run \`${posting.run}\`, try again`,
    };
  if (kept.kind === 'refused') return { status: 'answered', answer: kept.refusal, by: 'door' };
  const answered = waitForAnswer(deps, waiter, kept.message, posting.waitMs);
  // Whoever stored the message rings for it; where that fails, the outbox does.
  const untaken = kept.isNew ? await withdrawUntaken(deps, kept.row, kept.message) : null;
  if (untaken === null) return answered.outcome;
  answered.stop();
  await answered.outcome;
  return untaken;
}

/**
 * Rings for the message; where that fails, withdraws it, and gives what its caller is told. Null: the message may be taken, also
 * where the store does not answer and so has not withdrawn it.
 */
async function withdrawUntaken(
  deps: ClientDeps,
  row: RunRow,
  message: SealedMessage,
): Promise<MessageOutcome | null> {
  try {
    const rung = await ringFor(deps, row, message);
    if (rung === 'rung' || message.kind === 'decide' || !(await withdrawMessage(deps.pool, message.id)))
      return null;
    return rung === 'elsewhere'
      ? answerLeftElsewhere(row)
      : { status: 'unavailable', code: 'ENGINE_UNAVAILABLE' };
  } catch (error) {
    if (isUnavailable(error)) return null;
    throw error;
  }
}

/** This store is a copy: the deployment of the original goes on with the run, and it does not move here. */
function answerLeftElsewhere({ id }: RunRow): MessageOutcome {
  const message = `run \`${id}\` is left to another deployment, and nothing of this request is kept: ask that one for it; where there is none any more, what the run is stuck on says what to do`;
  return { status: 'answered', answer: { status: 'refused', code: 'RUN_STUCK', message }, by: 'door' };
}

async function keepInTurn(deps: ClientDeps, posting: Posting): Promise<Kept> {
  const { run, kind } = posting;
  const turn = await runQueuesOf(deps.pool).take(run, kind === 'submit' ? 'submits' : 'others');
  if (turn.kind !== 'turn') return (await findKept(deps.pool, posting)) ?? refuseOutOfTurn(turn.kind, run);
  try {
    return await withTransaction(deps.pool, (tx) => keepMessage(deps, tx, posting));
  } finally {
    turn.end();
  }
}

function refuseOutOfTurn(why: 'full' | 'late', run: string): Kept {
  if (why === 'late') return { kind: 'late' };
  const waiting = `${mostUnanswered} requests of this kind wait already until run \`${run}\` can be asked`;
  return refuse('RATE_LIMITED', `${waiting}: ask again when it has been`);
}

/** What an earlier attempt of the same request has stored; null: nothing. */
async function findKept(pool: Pool, { run, id: asked }: Posting): Promise<Kept | null> {
  const { id, isKept } = await currentId(pool, asked);
  const [row, message] = isKept ? await Promise.all([getRun(pool, run), getMessage(pool, id)]) : [null, null];
  return row === null || message === null ? null : { kind: 'kept', row, message, isNew: false };
}

async function keepMessage(deps: ClientDeps, tx: Tx, posting: Posting): Promise<Kept> {
  await lockForAsking(tx, posting.run);
  // Asked together, and answered in order: what follows the run is read behind the locks on it.
  const [row, { id, isKept }, waiting, seal, settled] = await together([
    lockRunForShare(tx, posting.run),
    currentId(tx, posting.id),
    countUnanswered(tx, posting.run),
    readSeal(deps, tx),
    posting.refuse?.(tx) ?? null,
  ]);
  if (row === null) return refuse('NOT_FOUND', `no run \`${posting.run}\``);
  if (isKept) {
    const message = await getMessage(tx, id);
    if (message === null) throw new Error(`message \`${id}\` is gone from the store`);
    return { kind: 'kept', row, message, isNew: false };
  }
  const asked = posting.make(row, id);
  const { kind } = asked.body;
  const refusal =
    settled ??
    refuseByRow(row, kind, posting.expectedVersion ?? null) ??
    refuseTooLarge(asked.values) ??
    refuseWithoutRoom(row, waiting, kind, bytesOf(asked.values));
  if (refusal !== null) return { kind: 'refused', refusal };
  const draft = { ...asked, id, run: row.id, environment: row.environment };
  const [, [stored]] = await together([posting.whileOurs?.(tx), storeMessages(deps, tx, seal, [draft])]);
  if (stored === undefined) throw new Error(`message \`${id}\` was not stored`);
  await posting.beside?.(tx, stored);
  return { kind: 'kept', row, message: stored.message, isNew: true };
}

function refuse(code: Refusal['code'], message: string): Extract<Kept, { kind: 'refused' }> {
  return { kind: 'refused', refusal: { status: 'refused', code, message } };
}

function describeProblem({ problem }: RunRow): string {
  if (problem === null) return 'unknown problem';
  return problem.next === undefined ? problem.message : `${problem.message}; ${problem.next}`;
}

/** Refuses what the run would refuse whatever else it is asked meanwhile; null: the run decides. */
function refuseByRow(row: RunRow, kind: MessageKind, expectedVersion: number | null): Refusal | null {
  const no = (code: Refusal['code'], message: string): Refusal => ({ status: 'refused', code, message });
  if (kind === 'decide') return null;
  if (closedStatuses.includes(row.status)) return no('RUN_CLOSED', `the run is ${row.status}`);
  if (kind === 'retry' && row.rev > 0 && row.status !== 'stuck' && row.executing === null)
    return no('NOT_STUCK', `the run is ${row.status}, not stuck`);
  if (kind !== 'submit') return null;
  if (row.status === 'stuck')
    return no('RUN_STUCK', `the run waits for an operator: ${describeProblem(row)}`);
  if (row.executing === null) return null;
  return expectedVersion === null || expectedVersion === row.version
    ? no('RUN_BUSY', describeBusy(row))
    : no(
        'STALE_VERSION',
        `the run is at version ${row.version}, not ${String(expectedVersion)}; read it again`,
      );
}

function describeBusy(row: RunRow): string {
  const document = documentOf(row);
  const executing = document?.executing ?? null;
  return document === null || executing === null
    ? 'another step of the run is executing; try again when it has settled'
    : busyText({ ...document, executing });
}

/** Refuses what the run has no room for; null: it has. Decisions, cancels and retries are small: only their number counts. */
function refuseWithoutRoom(
  row: RunRow,
  waiting: Unanswered,
  kind: MessageKind,
  bytes: number,
): Refusal | null {
  const no = (code: Refusal['code'], message: string): Refusal => ({ status: 'refused', code, message });
  // Submits of programs take no room from decisions of people, nor from cancels and retries.
  if ((kind === 'submit' ? waiting.submits : waiting.others) >= mostUnanswered)
    return no(
      'RATE_LIMITED',
      `the run has ${kind === 'submit' ? waiting.submits : waiting.others} messages of this kind that it has not answered: ask again when it has`,
    );
  if (kind !== 'submit') return null;
  // What has no arguments takes no room here, and may be what ends the run or makes room: the run looks whether it opens an approval.
  if (bytes > emptyBytes) {
    const full = refuseWithoutOpenRoom(row, waiting, bytes);
    if (full !== null) return full;
  }
  const document = row.doc === null ? 0 : Buffer.byteLength(row.doc);
  return document > mostDocumentBytes
    ? no('RUN_FULL', describeFullDocument(document, row.openApprovals))
    : null;
}

/** What it has done stays as long as the run: asked for once more, it needs an idempotency key that was never used. */
function describeFullDocument(bytes: number, openApprovals: number): string {
  const next =
    openApprovals === 0
      ? 'go on in another run'
      : `decide its ${openApprovals} open approvals, which may make room, or go on in another run`;
  return `what the run carries (its context, its open approvals, and a count of each different request that it has done, which stays until it ends) takes ${bytes} bytes, and ${mostDocumentBytes} are the most: it takes no submit now, what waits in it can still be decided, and a cancel ends it; ${next}`;
}

/** Bytes of empty arguments. */
const emptyBytes = Buffer.byteLength('{}');

/** Why what waits for people in a run leaves no room for these arguments; null: it does. */
function refuseWithoutOpenRoom(
  row: Pick<RunRow, 'openApprovals' | 'openBytes'>,
  waiting: { readonly submits: number; readonly bytes: number },
  bytes: number,
): Refusal | null {
  const no = (message: string): Refusal => ({ status: 'refused', code: 'RUN_FULL', message });
  if (row.openApprovals + waiting.submits >= mostOpenApprovals)
    return no(
      `the run has ${row.openApprovals} open approvals and ${waiting.submits} requests without an answer, and ${mostOpenApprovals} of both are the most: have some decided first`,
    );
  const open = row.openBytes + waiting.bytes + bytes;
  return open > mostOpenBytes
    ? no(
        `with this the run would hold ${open} bytes of arguments that wait for an answer or a decision, and of what its open approvals say, and it can hold ${mostOpenBytes}: have its approvals decided first, or send less`,
      )
    : null;
}

/** The store's answer, as soon as the step that gives it has committed; or that there is none within its time. */
export function waitForAnswer(
  deps: Pick<ClientDeps, 'pool'>,
  waiter: Waiter,
  { id, run }: Pick<SealedMessage, 'id' | 'run'>,
  waitMs: number,
): { readonly outcome: Promise<MessageOutcome>; readonly stop: () => void } {
  const stopping = new AbortController();
  const wait = async (): Promise<MessageOutcome> => {
    let found: MessageOutcome = { status: 'executing', messageId: id };
    await waiter.watch(
      run,
      async () => {
        const answer = await readAnswer(deps, id);
        if (answer === null) return false;
        found = { status: 'answered', answer, by: 'run' };
        return true;
      },
      { waitMs: Math.max(waitMs, 1), signal: stopping.signal },
    );
    return found;
  };
  const outcome = wait();
  // Whoever rings may fail first: the rejection is seen when it is awaited.
  outcome.catch(() => undefined);
  return { outcome, stop: () => stopping.abort() };
}

/** Null: no answer yet, or the store does not answer. The message stays kept. */
async function readAnswer({ pool }: Pick<ClientDeps, 'pool'>, id: string): Promise<Answer | null> {
  try {
    return await getAnswer(pool, id);
  } catch (error) {
    if (isUnavailable(error)) return null;
    throw error;
  }
}
