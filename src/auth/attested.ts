import { sign, verify, type KeyObject } from 'node:crypto';
import { z } from 'zod';
import { canonical } from '../model/canonical.js';
import { isObject, type JsonObject } from '../model/json.js';
import { decisionDoors, type AttestedMessage, type Message, type MessageRefusal } from '../model/message.js';
import { principalSchema } from '../model/principal.js';
import type { ServiceKeys } from './keys.js';
import type { Standing } from './signing.js';

/** Signs what a principal asked, as the run will verify it. */
export function signMessage({ signing }: Pick<ServiceKeys, 'signing'>, message: Message): AttestedMessage {
  const bytes = Buffer.from(canonical(message), 'utf8');
  const signature = sign(null, bytes, signing.privateKey).toString('base64url');
  return { message, keyId: signing.keyId, signature };
}

export interface Verification {
  /** The run that the message has reached. */
  readonly run: string;
  /** Null for a key that is unknown or none. Rejects when the store does not answer. */
  readonly publicKey: (keyId: string) => Promise<Standing>;
}

export type Verified =
  | { readonly status: 'ok'; readonly message: Message }
  | { readonly status: 'refused'; readonly reason: MessageRefusal };

/** Total: whatever arrives is either a message that this service signed for this run, or refused with the reason. */
export async function verifyAttested(attested: unknown, verification: Verification): Promise<Verified> {
  if (!isObject(attested) || isSentinel(attested)) return refused('undecodable');
  if (!Object.hasOwn(attested, 'keyId') || !Object.hasOwn(attested, 'signature')) return refused('unsigned');
  const parsed = parse(attested);
  if (parsed === null) return refused('bad_signature');
  const key = await verification.publicKey(parsed.keyId);
  if (key === 'retired') return refused('retired_key');
  if (key === null || !signatureHolds(key, parsed)) return refused('bad_signature');
  if (parsed.message.run !== verification.run) return refused('wrong_run');
  return { status: 'ok', message: parsed.message };
}

function refused(reason: MessageRefusal): Verified {
  return { status: 'refused', reason };
}

/** What the kernel's payload converter makes of bytes that it cannot read. */
function isSentinel(value: JsonObject): boolean {
  return value['countersign'] === 'undecodable' && Object.keys(value).length === 1;
}

/** The value itself, not zod's copy: what was signed is what is acted on. */
function parse(attested: JsonObject): AttestedMessage | null {
  try {
    return attestedSchema.safeParse(attested).success ? (attested as unknown as AttestedMessage) : null;
  } catch {
    return null;
  }
}

function signatureHolds(key: KeyObject, attested: AttestedMessage): boolean {
  try {
    const signature = Buffer.from(attested.signature, 'base64url');
    // One encoding for one signature: no second text that verifies as well.
    if (signature.length !== 64 || signature.toString('base64url') !== attested.signature) return false;
    return verify(null, Buffer.from(canonical(attested.message), 'utf8'), key, signature);
  } catch {
    return false;
  }
}

const text = z.string().max(1_000);
const jsonObject = z.custom<JsonObject>(isObject);
const roles = [
  'prompt',
  'response',
  'args',
  'output',
  'error',
  'trace',
  'reason',
  'input',
  'preview',
] as const;

const payloadRef = z.strictObject({
  role: z.enum(roles),
  commit: text,
  bytes: z.int().nonnegative(),
  media: text,
  payload: text,
  masked: z.array(text),
});

const body = z.discriminatedUnion('kind', [
  z.strictObject({
    kind: z.literal('start'),
    flow: text,
    flowVersion: z.int().positive(),
    planHash: text,
    environment: text,
    mode: z.enum(['live', 'shadow']),
    traceId: text,
    input: jsonObject,
  }),
  z.strictObject({
    kind: z.literal('submit'),
    transition: text,
    arguments: jsonObject,
    expectedVersion: z.int().nonnegative().nullable(),
  }),
  z.strictObject({
    kind: z.literal('decide'),
    approval: text,
    decision: z.enum(['approve', 'deny']),
    digest: text,
    reasonGiven: z.boolean(),
    via: z.enum(decisionDoors).optional(),
  }),
  z.strictObject({ kind: z.literal('cancel') }),
  z.strictObject({ kind: z.literal('retry') }),
]);

const attestedSchema = z.strictObject({
  message: z.strictObject({
    v: z.literal(1),
    id: text,
    delivery: text,
    run: text,
    time: z.iso.datetime(),
    principal: principalSchema,
    body,
    refs: z.array(payloadRef),
  }),
  keyId: text,
  signature: text,
});
