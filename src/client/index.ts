import { isOpen, settledCode } from '../model/approval-status.js';
import type { SealedMessage, SignedBody, SignedMessage } from '../model/message.js';
import type { Refusal } from '../engine/state.js';
import { isUnavailable, type Tx } from '../db/index.js';
import { getApprovalStatus } from '../store/approvals/approvals.js';
import { insertDecision } from '../store/approvals/decisions.js';
import { documentOf } from '../store/runs/document.js';
import type { RunRow } from '../store/runs/runs.js';
import { textValue } from './replay/attest.js';
import type { DecideRequest, MessageOutcome, OperateRequest, RunClient } from './types.js';
import type { ClientDeps } from './deps.js';
import { makeOutbox } from './outbox.js';
import { post, type Posting } from './post.js';
import { start, startWithSubmit } from './start.js';
import { submit } from './submit.js';
import { makeWaiter, type Waiter } from './waiter.js';
import { historyOf } from './replay/history.js';
import { replayRun } from './replay/replay.js';
import * as temporal from './temporal.js';

export type { ClientDeps } from './deps.js';
export type { RunClient } from './types.js';

/** How long a decision, a cancel or a retry waits for the run's answer before its caller is told where to look. */
const answerMs = 3_000;

/** What the process does with its client, and no request. */
interface OwnProcess {
  startOutbox(): void;
  /** Called when the process stops: each request that waits is answered at once, with what is so by then. */
  endWaits(): void;
}

/** Makes the client, which hides Temporal. It stores what must be durable in Postgres before it sends anything. */
export async function makeClient(deps: ClientDeps): Promise<RunClient & OwnProcess> {
  const waiter = await makeWaiter(deps.databaseUrl);
  const outbox = makeOutbox(deps);
  return {
    start: (request) => catchUnavailable(() => start(deps, waiter, request)),
    startWithSubmit: (request, first) =>
      catchUnavailable(() => startWithSubmit(deps, waiter, request, first)),
    submit: (request) => catchUnavailable(() => submit(deps, waiter, request)),
    decide: (request) => catchUnavailable(() => decide(deps, waiter, request)),
    cancel: (request) => catchUnavailable(() => operate(deps, waiter, request, 'cancel')),
    retry: (request) => catchUnavailable(() => operate(deps, waiter, request, 'retry')),
    watch: (run, look, until) => waiter.watch(run, look, until),
    history: (run) => historyOf(deps, run),
    replay: (run) => replayRun(deps, run),
    health: () => temporal.health(deps),
    startOutbox: () => outbox.start(),
    endWaits: () => waiter.endWaits(),
    close: async () => {
      await outbox.stop();
      await waiter.close();
    },
  };
}

type Unavailable = {
  readonly status: 'unavailable';
  readonly code: 'AUDIT_UNAVAILABLE' | 'ENGINE_UNAVAILABLE';
};

async function catchUnavailable<T>(act: () => Promise<T>): Promise<T | Unavailable> {
  try {
    return await act();
  } catch (error) {
    if (isUnavailable(error)) return { status: 'unavailable', code: 'AUDIT_UNAVAILABLE' };
    if (temporal.isUnavailable(error)) return { status: 'unavailable', code: 'ENGINE_UNAVAILABLE' };
    throw error;
  }
}

/** Stores a decision before the run hears of it. It counts by the time when it was stored, however late the run takes it. */
async function decide(deps: ClientDeps, waiter: Waiter, request: DecideRequest): Promise<MessageOutcome> {
  const { run, decisionId: id, approval, decision, digest, reason, principal, via } = request;
  const body: SignedBody = {
    kind: 'decide',
    approval,
    decision,
    digest,
    via,
    reasonGiven: reason !== null,
  };
  const values = reason === null ? [] : [textValue('reason', reason)];
  return post(deps, waiter, {
    run,
    id,
    kind: 'decide',
    waitMs: request.waitMs ?? answerMs,
    whileOurs: request.whileOurs,
    rights: request.rights,
    refuse: (tx) => refuseSettled(tx, run, approval),
    make: () => ({ principal, body, values }),
    beside: (tx, { message, refs }) =>
      insertDecision(tx, {
        id: message.id,
        approval,
        run,
        byId: principal.id,
        byKind: principal.kind,
        decision,
        digest,
        reasonRef: refs[0] ?? null,
        at: timeOfMessage(message),
        status: 'accepted',
        code: null,
      }),
  });
}

/** Refuses a decision on an approval that has ended, because no step would take it. Null: it is open. */
async function refuseSettled(tx: Tx, run: string, id: string): Promise<Refusal | null> {
  const approval = await getApprovalStatus(tx, id);
  const no = (code: Refusal['code'], message: string): Refusal => ({ status: 'refused', code, message });
  if (approval === null || approval.run !== run)
    return no('NOT_FOUND', `run \`${run}\` has no approval \`${id}\``);
  const { status } = approval;
  return isOpen(status) ? null : no(settledCode(status), `the approval is ${status}`);
}

function timeOfMessage({ text }: SealedMessage): string {
  return (JSON.parse(text) as SignedMessage).time;
}

async function operate(
  deps: ClientDeps,
  waiter: Waiter,
  { run, messageId: id, principal, reason, waitMs, whileOurs, rights }: OperateRequest,
  kind: 'cancel' | 'retry',
): Promise<MessageOutcome> {
  const values = [textValue('reason', reason)];
  const make: Posting['make'] = (row) => ({
    principal,
    body: kind === 'retry' ? { kind, about: problemAt(row) } : { kind },
    values,
  });
  const posted = await post(deps, waiter, { run, id, kind, waitMs: answerMs, whileOurs, rights, make });
  if (posted.status === 'answered' && posted.answer.status !== 'refused')
    await waiter.settled(deps.pool, run, waitMs);
  return posted;
}

/** Since when the run is stuck, which tells the problem that a retry is about; null: it is not stuck. */
function problemAt(row: RunRow): string | null {
  return row.status === 'stuck' ? (documentOf(row)?.stuckAt ?? '') : null;
}
