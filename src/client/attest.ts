import { newId } from '../model/ids.js';
import { canonical } from '../model/canonical.js';
import type { AttestedMessage, Message, MessageBody } from '../model/message.js';
import type { Principal } from '../model/principal.js';
import type { PayloadRef } from '../model/records.js';
import { currentSigningKey, signMessage } from '../auth/index.js';
import type { Queryable, Tx } from '../db/index.js';
import type { Trace } from './types.js';
import type { ClientDeps } from './deps.js';

export interface Attest {
  readonly id: string;
  readonly run: string;
  readonly principal: Principal;
  readonly body: MessageBody;
  readonly refs: readonly PayloadRef[];
  /** When it was asked, whatever its deliveries take; of each delivery unless said. */
  readonly time?: string;
}

/** A delivery of its own, signed with the key of this moment. */
export async function attest(
  deps: Pick<ClientDeps, 'keys'>,
  q: Queryable,
  fields: Attest,
): Promise<AttestedMessage> {
  const message: Message = { v: 1, delivery: newId('msg'), time: new Date().toISOString(), ...fields };
  return signMessage({ signing: await currentSigningKey(q, deps.keys) }, message);
}

export async function traceRefs(
  deps: Pick<ClientDeps, 'payloads'>,
  tx: Tx,
  run: string,
  trace: Trace | null,
): Promise<PayloadRef[]> {
  if (trace === null) return [];
  const refs: PayloadRef[] = [];
  if (trace.prompt !== undefined)
    refs.push(await deps.payloads.put(tx, run, 'prompt', 'text/plain', trace.prompt));
  if (trace.response !== undefined)
    refs.push(await deps.payloads.put(tx, run, 'response', 'text/plain', trace.response));
  refs.push(await deps.payloads.put(tx, run, 'trace', 'application/json', canonical(trace)));
  return refs;
}

/** Deterministic: a start that is repeated is the same message. */
export function startMessageId(run: string): string {
  return `msg_${run.slice('run_'.length)}`;
}
