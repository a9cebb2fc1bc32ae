import type { ActionJson } from '../../model/answer-types.js';
import { messageIdOf } from '../../model/derived-ids.js';
import { findCallState, getAction, listAttempts, type ActionRow } from '../../store/actions.js';
import { getApproval } from '../../store/approvals.js';
import { decisionsOf } from '../../store/decisions.js';
import { getMessage } from '../../store/messages.js';
import type { Caller } from '../caller.js';
import type { ServiceDeps } from '../deps.js';
import { refuseCaller } from '../may.js';
import { notFound, type Refusal } from '../refusal.js';
import { readJson, readText } from '../values.js';
import { visibleRun } from './body.js';

export interface Polled {
  readonly kind: 'polled';
  readonly run: string;
  /** Nothing more will come of it. */
  readonly settled: boolean;
  readonly body: ActionJson;
}

const unsettled: readonly string[] = ['pending', 'approved', 'executing'];

function polled(run: string, status: string, fields: ActionJson): Polled {
  return { kind: 'polled', run, settled: !unsettled.includes(status), body: fields };
}

/** What became of a submitted action. */
export async function readAction(caller: Caller, id: string): Promise<Polled | Refusal> {
  const refused = refuseCaller(caller, 'getAction');
  if (refused !== null) return refused;
  const { deps } = caller;
  const row = await getAction(deps.pool, id);
  if (row === null) return inFlight(caller, id);
  const found = await visibleRun(caller, row.run);
  if (found.kind === 'refusal') return notFound('action', id);
  const output = row.status === 'executed' ? { output: await readJson(deps, row.outputRef) } : {};
  return polled(row.run, row.status, {
    id: row.id,
    status: row.status,
    run: row.run,
    transition: row.transition,
    ...(row.tool === null ? {} : { tool: row.tool }),
    ...(row.approval === null
      ? {}
      : { approval: row.approval, ...(await decidedOf(deps, row, row.approval)) }),
    ...output,
    ...(row.error === null ? {} : { error: row.error }),
    ...(row.status === 'executing' ? await attemptsOf(deps, row) : {}),
  });
}

/** Without a call under way it waits: for the time that is named, for its turn, or for a worker. */
async function attemptsOf(
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

/** Who decided, and why it did not run where it did not. */
async function decidedOf(
  deps: ServiceDeps,
  { status, error }: ActionRow,
  approval: string,
): Promise<Pick<ActionJson, 'reason' | 'decisions'>> {
  const taken = (await decisionsOf(deps.pool, [approval])).filter((one) => one.status === 'applied');
  const decisions = await Promise.all(
    taken.map(async (one) => ({
      by: { id: one.byId, kind: one.byKind },
      decision: one.decision,
      reason: await readText(deps, one.reasonRef),
      at: one.at,
    })),
  );
  const denied = decisions.find((one) => one.decision === 'deny');
  switch (status) {
    case 'denied':
      return { reason: denied?.reason ?? null, decisions };
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

/** The run has not taken the message yet, or it took it and made no action of its own of it. */
async function inFlight(caller: Caller, id: string): Promise<Polled | Refusal> {
  const messageId = messageIdOf(id);
  const message = await getMessage(caller.deps.pool, messageId);
  if (message === null || message.kind !== 'submit') return notFound('action', id);
  const { run, answer: said } = message;
  const found = await visibleRun(caller, run);
  if (found.kind === 'refusal') return notFound('action', id);
  const { transition } = (JSON.parse(message.text) as { body: { transition: string } }).body;
  const base = { id, run, transition };
  const failed = (code: string, why: string): Polled =>
    polled(run, 'failed', { ...base, status: 'failed', error: { code, message: why } });
  if (said === null && message.isWithdrawn)
    return failed('ENGINE_UNAVAILABLE', 'it was withdrawn: nothing came of it');
  if (said === null) return polled(run, 'executing', { ...base, status: 'executing' });
  if (said.status === 'refused') return failed(said.code, said.message);
  // Attached to an action that was already open: that one is the answer.
  return said.status === 'accepted' || said.action === id
    ? notFound('action', id)
    : readAction(caller, said.action);
}
