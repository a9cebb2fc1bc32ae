import { keepWithRights, NoSigningKey, type RightsNow } from '../auth/index.js';
import { sameJson } from '../model/values/canonical.js';
import type { MessageKind, SealedMessage } from '../model/message.js';
import { mostUnanswered } from '../model/limits.js';
import { busyText, closedStatuses, type Answer, type Refusal } from '../engine/state.js';
import { PayloadKeyUnopened, PayloadsErased } from '../audit/index.js';
import { isUnavailable, together, withTransaction, type Pool, type Tx } from '../db/index.js';
import { documentOf } from '../store/runs/document.js';
import {
  countUnanswered,
  getAnswer,
  getMessage,
  withdrawMessage,
  type Unanswered,
} from '../store/runs/messages.js';
import { getRun, lockForAsking, lockRunForShare, type RunRow } from '../store/runs/runs.js';
import {
  bytesOf,
  currentId,
  readSeal,
  refuseUnsigned,
  refuseTooLarge,
  storeMessages,
  type MessageDraft,
  type Stored,
} from './replay/attest.js';
import { ringFor } from './bells.js';
import type { Asking, Foreseen, MessageOutcome } from './types.js';
import type { ClientDeps } from './deps.js';
import { describeFullOfPrincipal, describeUnkept, keepForeseen, type Unkept } from './foresight.js';
import { runQueuesOf } from './run-queues.js';
import { refuseWithoutRoom } from './room.js';
import type { Waiter } from './waiter.js';

// The way of every request to a run: it is refused by what the store knows, or stored and rung for, and then its answer is awaited.

export interface Posting {
  readonly run: string;
  readonly id: string;
  readonly kind: MessageKind;
  readonly waitMs: number;
  readonly make: (row: RunRow, id: string) => Omit<MessageDraft, 'id' | 'run' | 'environment'>;
  /** Stores what must become durable together with the message. */
  readonly beside?: (tx: Tx, { message, refs }: Stored) => Promise<void>;
  /** For a submit: the run's version that the caller has seen. */
  readonly expectedVersion?: number | null;
  /** For a submit: finds out whether the run will have room for it, in the share of this principal. */
  readonly foresight?: {
    readonly principal: string;
    readonly foresee: (signal: AbortSignal) => Promise<Foreseen | null>;
  } | null;
  /** From the request. */
  readonly whileOurs?: Asking['whileOurs'];
  readonly rights: Asking['rights'];
  /** Further reasons of the store to refuse, read under the lock on the run; null: none. */
  readonly refuse?: (tx: Tx) => Promise<Refusal | null>;
}

type Kept =
  | { readonly kind: 'kept'; readonly row: RunRow; readonly message: SealedMessage; readonly isNew: boolean }
  | { readonly kind: 'refused'; readonly refusal: Refusal }
  /** Nothing of the request was stored, for this reason. */
  | { readonly kind: Unkept };

export async function post(deps: ClientDeps, waiter: Waiter, posting: Posting): Promise<MessageOutcome> {
  const kept = await keep(deps, { ...posting, stopping: waiter.stopping });
  if (kept.kind !== 'kept' && kept.kind !== 'refused')
    return {
      status: 'unavailable',
      code: 'AUDIT_UNAVAILABLE',
      message: describeUnkept(kept.kind, posting.run),
    };
  if (kept.kind === 'refused') return { status: 'answered', answer: kept.refusal, by: 'door' };
  const answered = waitForAnswer(deps, waiter, kept.message, posting.waitMs);
  // Only the attempt that stored the message rings for it; if that fails, the outbox does.
  const untaken = kept.isNew ? await withdrawUntaken(deps, kept.row, kept.message) : null;
  if (untaken === null) return answered.outcome;
  answered.stop();
  await answered.outcome;
  return untaken;
}

/**
 * Rings for the message; if that fails, withdraws it and gives what its caller is told. Null: the message may be taken, which is
 * also so if the store did not answer and has not withdrawn it.
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

/** The answer where this store is a copy: the deployment of the original goes on with the run, and the run does not move here. */
function answerLeftElsewhere({ id }: RunRow): MessageOutcome {
  const message = `run \`${id}\` is left to another deployment, and nothing of this request is kept: ask that deployment; if it no longer exists, the problem of the run says what to do`;
  return { status: 'answered', answer: { status: 'refused', code: 'RUN_STUCK', message }, by: 'door' };
}

/** Once `stopping` is aborted, a request whose turn has not come is not kept. */
interface InTurn extends Posting {
  readonly stopping: AbortSignal;
}

async function keep(deps: ClientDeps, posting: InTurn): Promise<Kept> {
  const { run, foresight = null, stopping } = posting;
  if (foresight === null) return keepInTurn(deps, posting, null);
  const known = await findKept(deps.pool, posting);
  if (known !== null) return known;
  const { principal, foresee } = foresight;
  const keepBy = (found: Foreseen | null): Promise<Kept | 'outdated'> => keepInTurn(deps, posting, found);
  const kept = await keepForeseen({ run, principal }, foresee, keepBy, stopping);
  if (typeof kept === 'object') return kept;
  return (await findKept(deps.pool, posting)) ?? refuseOutOfTurn(kept, run);
}

/** `outdated`: what was foreseen is no longer so, and nothing was kept. */
async function keepInTurn(deps: ClientDeps, posting: InTurn, foreseen: null): Promise<Kept>;
async function keepInTurn(
  deps: ClientDeps,
  posting: InTurn,
  foreseen: Foreseen | null,
): Promise<Kept | 'outdated'>;
async function keepInTurn(
  deps: ClientDeps,
  posting: InTurn,
  foreseen: Foreseen | null,
): Promise<Kept | 'outdated'> {
  const { run, kind, stopping, rights } = posting;
  const turn = await runQueuesOf(deps.pool).take(run, kind === 'submit' ? 'submits' : 'others', stopping);
  if (turn.kind !== 'turn') return (await findKept(deps.pool, posting)) ?? refuseOutOfTurn(turn.kind, run);
  try {
    const kept = await keepWithRights(rights, (check) =>
      withTransaction(deps.pool, (tx) => keepMessage(deps, tx, posting, foreseen, check)),
    );
    if (kept !== 'rightsChanged') return kept;
    return (await findKept(deps.pool, posting)) ?? refuseOutOfTurn('rightsChanged', run);
  } catch (error) {
    if (error instanceof NoSigningKey) return { kind: 'refused', refusal: refuseUnsigned(deps, error) };
    if (error instanceof PayloadsErased) return refuse('RUN_STUCK', describeErased(posting));
    if (!(error instanceof PayloadKeyUnopened) || kind === 'cancel') throw error;
    deps.onInternalError(`the values of run \`${run}\``, error);
    return refuse('KEY_UNOPENED', describeUnopened(posting, error));
  } finally {
    turn.end();
  }
}

function describeErased({ run, kind }: Posting): string {
  const what = kind === 'submit' ? 'submit' : 'reason';
  const without = kind === 'decide' ? 'decide without a reason, or ' : '';
  return `the values of run \`${run}\` were erased, and nothing can be added to them, so the ${what} cannot be kept: ${without}cancel the run`;
}

function describeUnopened({ kind }: Posting, { message }: PayloadKeyUnopened): string {
  const what = kind === 'submit' ? 'submit' : 'reason';
  const without = kind === 'decide' ? 'decided without a reason, or ' : '';
  return `the ${what} cannot be kept here, and nothing of this request is: ${message}, and the run can be ${without}cancelled`;
}

function refuseOutOfTurn(why: 'full' | 'fullOfPrincipal' | Unkept, run: string): Kept {
  if (why === 'fullOfPrincipal') return refuse('RATE_LIMITED', describeFullOfPrincipal(run));
  if (why !== 'full') return { kind: why };
  const waiting = `${mostUnanswered} requests of this kind wait already until run \`${run}\` can be asked`;
  return refuse('RATE_LIMITED', `${waiting}: ask again when it has been`);
}

/** The message that an earlier attempt of the same request has stored; null: none. */
async function findKept(pool: Pool, { run, id: asked }: Posting): Promise<Kept | null> {
  const { id, isKept } = await currentId(pool, asked);
  const [row, message] = isKept ? await Promise.all([getRun(pool, run), getMessage(pool, id)]) : [null, null];
  return row === null || message === null ? null : { kind: 'kept', row, message, isNew: false };
}

/** `outdated`: see `keepInTurn`; `stale`, `rightsChanged`: see `keepWithRights`. Nothing was kept then. */
async function keepMessage(
  deps: ClientDeps,
  tx: Tx,
  posting: InTurn,
  foreseen: Foreseen | null,
  check: () => Promise<RightsNow>,
): Promise<Kept | 'outdated' | 'stale' | 'rightsChanged'> {
  await lockForAsking(tx, posting.run);
  // Sent together and run in order, so that all after the first is read under the lock on the run.
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
  const early =
    settled ?? refuseByRow(row, kind, posting.expectedVersion ?? null) ?? refuseTooLarge(asked.values);
  if (early === null && foreseen !== null && !isCurrent(foreseen, row, waiting)) return 'outdated';
  const refusal = early ?? refuseWithoutRoom(row, waiting, kind, bytesOf(asked.values), foreseen);
  if (refusal !== null) return { kind: 'refused', refusal };
  const rights = await check();
  if (rights !== 'same') return rights;
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

/** Refuses what the run would refuse in any case, whatever else it is asked meanwhile; null: the run decides. */
function refuseByRow(row: RunRow, kind: MessageKind, expectedVersion: number | null): Refusal | null {
  const no = (code: Refusal['code'], message: string): Refusal => ({ status: 'refused', code, message });
  if (kind === 'decide') return null;
  if (closedStatuses.includes(row.status)) return no('RUN_CLOSED', `the run is ${row.status}`);
  if (kind === 'retry' && row.rev > 0 && row.status !== 'stuck' && row.executing === null)
    return no('NOT_STUCK', `the run is ${row.status}, not stuck`);
  if (kind !== 'submit') return null;
  // It passes by itself, so the refusal is not kept under an Idempotency-Key.
  if (row.status === 'stuck' && row.problem?.code === 'KEY_UNOPENED')
    return no('KEY_UNOPENED', `nothing of this request is kept: ${describeProblem(row)}`);
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

/** Whether what was found on paper is so still: the run has taken no step since, and the same waits for it. */
function isCurrent(foreseen: Foreseen, { rev }: RunRow, { ids }: Unanswered): boolean {
  return foreseen.rev === rev && sameJson(foreseen.waiting, ids);
}

/** Waits for the answer to a message: it resolves as soon as the step that answers has committed, or with `executing` when `waitMs` is over. */
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
  // Ringing may fail before `outcome` is awaited: without this, a rejection until then would end the process.
  outcome.catch(() => undefined);
  return { outcome, stop: () => stopping.abort() };
}

/** Null: there is no answer yet, or the store cannot be read. The message stays stored. */
async function readAnswer({ pool }: Pick<ClientDeps, 'pool'>, id: string): Promise<Answer | null> {
  try {
    return await getAnswer(pool, id);
  } catch (error) {
    if (isUnavailable(error)) return null;
    throw error;
  }
}
