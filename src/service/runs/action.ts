import type { ActionJson } from '../../model/contract/answer-types.js';
import type { Json } from '../../model/values/json.js';
import { messageIdOf } from '../../model/names/derived-ids.js';
import { findCallState, getAction, listAttempts, type ActionRow } from '../../store/runs/actions.js';
import { getApproval } from '../../store/approvals/approvals.js';
import { decisionsOf } from '../../store/approvals/decisions.js';
import { getMessage } from '../../store/runs/messages.js';
import type { Caller } from '../caller.js';
import type { ServiceDeps } from '../deps.js';
import { refuseCaller } from '../may.js';
import { notFound, type Refusal } from '../refusal.js';
import { readAll, readText, unreadableOf } from '../values.js';
import { visibleRun } from './visible.js';

export interface Polled {
  readonly kind: 'polled';
  readonly run: string;
  /** The action has ended: nothing more will come of it. */
  readonly isSettled: boolean;
  readonly body: ActionJson;
}

const unsettled: readonly string[] = ['pending', 'approved', 'executing'];

function toPolled(run: string, status: string, fields: ActionJson): Polled {
  return { kind: 'polled', run, isSettled: !unsettled.includes(status), body: fields };
}

/** What became of a submitted action. */
export async function readAction(caller: Caller, id: string): Promise<Polled | Refusal> {
  const refused = refuseCaller(caller, 'getAction');
  if (refused !== null) return refused;
  const { deps } = caller;
  const row = await getAction(deps.pool, id);
  if (row === null) return readInFlight(caller, id);
  const found = await visibleRun(caller, row.run);
  if (found.kind === 'refusal') return notFound('action', id);
  const output = row.status === 'executed' ? await outputFields(deps, row) : {};
  return toPolled(row.run, row.status, {
    id: row.id,
    status: row.status,
    run: row.run,
    transition: row.transition,
    ...(row.tool === null ? {} : { tool: row.tool }),
    ...(row.approval === null
      ? {}
      : { approval: row.approval, ...(await decisionFields(deps, row, row.approval)) }),
    ...output,
    ...(row.error === null ? {} : { error: row.error }),
    ...(row.status === 'executing' ? await callFields(deps, row) : {}),
  });
}

/** What it has answered. Throws `PayloadKeyUnopened` where its key does not open here: whoever polls may read it later. */
async function outputFields(
  deps: ServiceDeps,
  { outputRef }: ActionRow,
): Promise<Pick<ActionJson, 'output' | 'unreadable'>> {
  const text = await readText(deps, outputRef);
  return {
    output: text === null ? null : (JSON.parse(text) as Json),
    ...unreadableOf({ text: () => text }, { output: outputRef }),
  };
}

/** Of an executing action. Without a call under way it waits for `nextAttemptAt`, for its turn, or for a worker. */
async function callFields(
  { pool }: ServiceDeps,
  { id }: ActionRow,
): Promise<Pick<ActionJson, 'callUnderWay' | 'callLost' | 'nextAttemptAt'>> {
  const [attempts, call] = await Promise.all([listAttempts(pool, id), findCallState(pool, id)]);
  const at = attempts.at(-1)?.nextAt ?? null;
  return {
    callUnderWay: call === 'under_way',
    ...(call === 'lost' ? { callLost: true } : {}),
    ...(at === null ? {} : { nextAttemptAt: at }),
  };
}

/** Who decided, and if the action did not run, why. */
async function decisionFields(
  deps: ServiceDeps,
  { status, error }: ActionRow,
  approval: string,
): Promise<Pick<ActionJson, 'reason' | 'unreadable' | 'decisions'>> {
  const taken = (await decisionsOf(deps.pool, [approval])).filter((row) => row.status === 'applied');
  const read = await readAll(
    deps,
    taken.map(({ reasonRef }) => reasonRef),
  );
  const decisions = taken.map((row) => ({
    by: { id: row.byId, kind: row.byKind },
    decision: row.decision,
    reason: read.text(row.reasonRef),
    ...unreadableOf(read, { reason: row.reasonRef }),
    at: row.at,
  }));
  const denied = decisions.find((decision) => decision.decision === 'deny');
  switch (status) {
    case 'denied':
      return {
        reason: denied?.reason ?? null,
        ...(denied?.unreadable === undefined ? {} : { unreadable: denied.unreadable }),
        decisions,
      };
    case 'expired': {
      const row = await getApproval(deps.pool, approval);
      return { reason: `it was not decided by ${row?.expiresAt ?? 'its time'}`, decisions };
    }
    case 'revoked':
      return { reason: error?.message ?? 'it was revoked', decisions };
    default:
      return { decisions };
  }
}

/** The request was answered before its run refused it, and that answer stays under its key. */
const keptAsTaken =
  '; nothing came of this: where it was sent under an Idempotency-Key, ask again under another, since under its own the 202 is kept';

/** An action without a row: the run has not taken the message yet, or has made no new action of it. */
async function readInFlight(caller: Caller, id: string): Promise<Polled | Refusal> {
  const messageId = messageIdOf(id);
  const message = await getMessage(caller.deps.pool, messageId);
  if (message === null || message.kind !== 'submit') return notFound('action', id);
  const { run, answer } = message;
  const found = await visibleRun(caller, run);
  if (found.kind === 'refusal') return notFound('action', id);
  const { transition } = (JSON.parse(message.text) as { body: { transition: string } }).body;
  const base = { id, run, transition };
  const failed = (code: string, why: string): Polled =>
    toPolled(run, 'failed', { ...base, status: 'failed', error: { code, message: why } });
  if (answer === null && message.isWithdrawn)
    return failed('ENGINE_UNAVAILABLE', 'it was withdrawn: nothing came of it');
  if (answer === null) return toPolled(run, 'executing', { ...base, status: 'executing' });
  if (answer.status === 'refused')
    return failed(answer.code, `${answer.message}${answer.code === 'RUN_BUSY' ? keptAsTaken : ''}`);
  // The submit was attached to an action that was already open: that action is the answer.
  return answer.status === 'accepted' || answer.action === id
    ? notFound('action', id)
    : readAction(caller, answer.action);
}
