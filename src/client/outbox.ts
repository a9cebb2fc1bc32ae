import type { AttestedMessage, Message } from '../model/message.js';
import { newId } from '../model/ids.js';
import { currentSigningKey, signMessage } from '../auth/index.js';
import { isUnavailable, withTransaction } from '../db/index.js';
import { getApproval } from '../store/approvals.js';
import { settleDecision } from '../store/decisions.js';
import { due, markDelivered } from '../store/outbox.js';
import { getRun } from '../store/runs.js';
import { messageNames, type MessageName } from '../workflows/messages.js';
import type { ClientDeps } from './deps.js';
import * as temporal from './temporal.js';

const intervalMs = 500;
const batch = 50;

/** Sends what a run has not taken yet, until it has. Each sending is signed as a delivery of its own. */
export function makeOutbox(deps: ClientDeps): { start(): void; stop(): Promise<void> } {
  let stopped = false;
  let wake = (): void => undefined;
  let running: Promise<void> = Promise.resolve();
  const loop = async (): Promise<void> => {
    while (!stopped) {
      try {
        await round(deps);
      } catch (error) {
        if (!isUnavailable(error) && !temporal.isUnavailable(error)) console.error('outbox:', error);
      }
      await new Promise<void>((resolve) => {
        wake = resolve;
        setTimeout(resolve, intervalMs).unref();
      });
    }
  };
  return {
    start: () => {
      running = loop();
    },
    stop: async () => {
      stopped = true;
      wake();
      await running;
    },
  };
}

async function round(deps: ClientDeps): Promise<void> {
  const rows = await withTransaction(deps.pool, (tx) => due(tx, batch));
  for (const row of rows) {
    const done = await send(deps, row.run, row.kind, row.payload as AttestedMessage);
    if (done === 'closed') await refuseLate(deps, row.payload as AttestedMessage);
    if (done !== 'not yet') await markDelivered(deps.pool, row.id);
  }
}

/** The run ended before it took this decision: whoever was told that it is kept finds it refused, and why. */
async function refuseLate(deps: ClientDeps, { message }: AttestedMessage): Promise<void> {
  const { body, id, run, principal } = message;
  if (body.kind !== 'decide') return;
  const approval = await getApproval(deps.pool, body.approval);
  const code = lateCodes[approval?.status ?? 'revoked'];
  const settled = await settleDecision(deps.pool, id, { status: 'refused', code });
  if (!settled) return;
  await deps.chain.append([
    {
      key: `${run}:late:${id}`,
      type: 'approval.refused',
      time: new Date().toISOString(),
      actor: { kind: principal.kind, id: principal.id, roles: principal.roles },
      approval: body.approval,
      causation: id,
      data: { code, decision: body.decision, decisionId: id },
      about: run,
    },
  ]);
}

const lateCodes = {
  open: 'APPROVAL_REVOKED',
  escalated: 'APPROVAL_REVOKED',
  revoked: 'APPROVAL_REVOKED',
  expired: 'APPROVAL_EXPIRED',
  approved: 'ALREADY_DECIDED',
  denied: 'ALREADY_DECIDED',
  consumed: 'ALREADY_DECIDED',
} as const;

/** A message that was delivered is marked by the run that takes it. */
async function send(
  deps: ClientDeps,
  run: string,
  kind: string,
  attested: AttestedMessage,
): Promise<'done' | 'closed' | 'not yet'> {
  if (kind === 'start') return (await temporal.startRun(deps, attested)) === 'started' ? 'done' : 'not yet';
  const name = messageNames.find((one): one is MessageName => one === kind);
  const row = await getRun(deps.pool, run);
  if (name === undefined || row === null) return 'done';
  const again: Message = { ...attested.message, delivery: newId('msg') };
  const signed = signMessage({ signing: await currentSigningKey(deps.pool, deps.keys) }, again);
  const sent = await temporal.deliver(deps, row.namespace, run, name, signed);
  return sent === 'closed' ? 'closed' : 'not yet';
}
