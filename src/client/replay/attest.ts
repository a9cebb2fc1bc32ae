import { createHash } from 'node:crypto';
import { canonical } from '../../model/values/canonical.js';
import { newId } from '../../model/names/ids.js';
import { siblingId } from '../../model/names/derived-ids.js';
import { mostValueBytes } from '../../model/limits.js';
import type { SealedMessage, SignedBody } from '../../model/message.js';
import type { Principal } from '../../model/principal.js';
import type { PayloadRef } from '../../model/records.js';
import type { Refusal } from '../../engine/state.js';
import { currentSigningKey, sealMessage, type NoSigningKey, type SigningKey } from '../../auth/index.js';
import { PayloadKeyUnopened, PayloadsErased } from '../../audit/index.js';
import { settleTogether, storeTime, together, valueOf, type Queryable, type Tx } from '../../db/index.js';
import { getMessage, insertMessage, type MessageRow } from '../../store/runs/messages.js';
import type { Trace } from '../types.js';
import type { ClientDeps } from '../deps.js';

export interface MessageDraft {
  readonly id: string;
  readonly run: string;
  readonly environment: string;
  readonly principal: Principal;
  readonly body: SignedBody;
  /** The values that come with the message, each with the role of its payload. */
  readonly values: readonly Value[];
}

export interface Value {
  readonly role: PayloadRef['role'];
  readonly media: string;
  readonly text: string;
}

export const jsonValue = (role: PayloadRef['role'], value: unknown): Value => ({
  role,
  media: 'application/json',
  text: canonical(value),
});

export const textValue = (role: PayloadRef['role'], text: string): Value => ({
  role,
  media: 'text/plain',
  text,
});

/** The agent's reasoning as values: as a whole, and its prompt and its response by themselves. */
export function traceValues(trace: Trace | null): Value[] {
  if (trace === null) return [];
  return [
    ...(trace.prompt === undefined ? [] : [textValue('prompt', trace.prompt)]),
    ...(trace.response === undefined ? [] : [textValue('response', trace.response)]),
    jsonValue('trace', trace),
  ];
}

export function bytesOf(values: readonly Value[]): number {
  return values.reduce((sum, { text }) => sum + Buffer.byteLength(text), 0);
}

/** References as large as those that values will have once they are stored. */
export function refsToCome(values: readonly Value[]): PayloadRef[] {
  return values.map(({ role, media, text }) => {
    const bytes = Buffer.byteLength(text);
    return { role, media, bytes, payload: newId('pay'), commit: '0'.repeat(64), masked: [] };
  });
}

const roleNames: Partial<Record<PayloadRef['role'], string>> = {
  input: 'the input',
  args: 'the arguments',
  trace: 'the trace',
  reason: 'the reason',
};

/** Refuses a value that is larger than this service takes, measured as it is stored; null: all values fit. */
export function refuseTooLarge(values: readonly Value[]): Refusal | null {
  for (const { role, text } of values) {
    const bytes = Buffer.byteLength(text);
    if (bytes <= mostValueBytes) continue;
    const what = roleNames[role] ?? `the ${role}`;
    return {
      status: 'refused',
      code: 'TOO_LARGE',
      message: `${what} take ${bytes} bytes as canonical JSON, and this service takes ${mostValueBytes}: send less`,
    };
  }
  return null;
}

/** The key that messages are signed with, and their time. Both are read in the transaction that stores the messages. */
export interface Seal {
  /** Throws `NoSigningKey` if no key can be used; a request that signs nothing does not call it. */
  readonly signing: () => SigningKey;
  readonly time: string;
}

export async function readSeal(deps: Pick<ClientDeps, 'keys'>, tx: Tx): Promise<Seal> {
  const [signing, time] = await settleTogether([currentSigningKey(tx, deps.keys), storeTime(tx)]);
  return { signing: () => valueOf(signing), time: valueOf(time) };
}

/** What a request is told that cannot be signed here, and of which nothing was kept. */
export function refuseUnsigned(
  { onInternalError }: Pick<ClientDeps, 'onInternalError'>,
  error: NoSigningKey,
): Refusal {
  onInternalError('the signing key', error);
  const message = `nothing of this request is kept, since it cannot be signed here: ${error.message}`;
  return { status: 'refused', code: 'KEY_UNOPENED', message };
}

export interface Stored {
  readonly message: SealedMessage;
  readonly refs: readonly PayloadRef[];
}

/** Signs messages of one run and stores them with their values, in this order. They are durable once `tx` commits. */
export async function storeMessages(
  deps: Pick<ClientDeps, 'payloads'>,
  tx: Tx,
  seal: Seal,
  drafts: readonly [MessageDraft, ...MessageDraft[]],
): Promise<Stored[]> {
  const { time } = seal;
  const signing = seal.signing();
  const values = drafts.flatMap((draft) => draft.values);
  const [{ run, body }] = drafts;
  const payloads = values.map(({ role, media, text: bytes }) => ({ role, media, bytes }));
  const left = await deps.payloads.putAll(tx, run, payloads).catch((error: unknown) => {
    // A run to which no payload can be added can be cancelled: why is kept under the service's own key.
    const isClosed = error instanceof PayloadsErased || error instanceof PayloadKeyUnopened;
    if (body.kind !== 'cancel' || !isClosed) throw error;
    return deps.payloads.putAll(tx, '', payloads);
  });
  return together(
    drafts.map(async ({ values: own, ...asked }) => {
      const refs = left.splice(0, own.length);
      const message = sealMessage({ signing }, { v: 1, ...asked, time, refs });
      if (!(await insertMessage(tx, { message, bytes: bytesOf(own) })))
        throw new Error(`message \`${message.id}\` was stored by another request meanwhile`);
      return { message, refs };
    }),
  );
}

/**
 * The id of a request's message, and whether the store has that message. Every attempt after a withdrawn one gets the next id of a
 * fixed sequence, because a withdrawn message is never taken; so does one after a message that the run refused while it was busy,
 * because that held only then.
 */
export async function currentId(q: Queryable, id: string): Promise<{ id: string; isKept: boolean }> {
  for (let attempt = 0, name = id; ; attempt += 1, name = nextId(id, attempt)) {
    const known = await getMessage(q, name);
    if (known === null || !isPassedOver(known)) return { id: name, isKept: known !== null };
  }
}

function isPassedOver({ isWithdrawn, answer }: MessageRow): boolean {
  return isWithdrawn || (answer?.status === 'refused' && answer.code === 'RUN_BUSY');
}

function nextId(id: string, attempt: number): string {
  return siblingId(id, createHash('sha256').update(`${id}#${attempt}`).digest('hex'));
}
