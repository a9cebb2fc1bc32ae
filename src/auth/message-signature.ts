import { createHash, sign, verify, type KeyObject } from 'node:crypto';
import { z } from 'zod';
import { canonical } from '../model/values/canonical.js';
import {
  decisionDoors,
  type Bell,
  type MessageRefusal,
  type SealedMessage,
  type SignedMessage,
} from '../model/message.js';
import { principalSchema } from '../model/principal.js';
import type { ServiceKeys } from './keys.js';
import type { VerifyingKey } from './signing-keys.js';

/** Signs a message, in the form that the store keeps and the run verifies. */
export function sealMessage(
  { signing }: Pick<ServiceKeys, 'signing'>,
  message: SignedMessage,
): SealedMessage {
  const text = canonical(message);
  return {
    id: message.id,
    run: message.run,
    kind: message.body.kind,
    text,
    digest: digestOf(text),
    keyId: signing.keyId,
    signature: sign(null, Buffer.from(text, 'utf8'), signing.privateKey).toString('base64url'),
  };
}

/** The part of a sealed message that a signal carries. */
export function bellOf({ id, kind, digest, keyId, signature }: SealedMessage): Bell {
  return { id, kind, digest, keyId, signature };
}

/** A digest by which a step recognizes an arrival that it was given before. */
export function fingerprintOf(arrival: object): string {
  return digestOf(JSON.stringify(arrival));
}

export interface Opening {
  /** The run that takes the message, and its environment. */
  readonly run: string;
  readonly environment: string;
  /** How the key with this id stood when the message was stored; null where the store does not know the key. */
  readonly publicKey: (keyId: string) => VerifyingKey;
}

export type Opened =
  | { readonly status: 'ok'; readonly message: SignedMessage }
  | { readonly status: 'refused'; readonly reason: MessageRefusal };

/** Gives the message that this service signed for this run, or the reason why it is refused. Never throws. */
export function openMessage(sealed: SealedMessage, opening: Opening): Opened {
  if (sealed.run !== opening.run) return refused('wrong_run');
  if (digestOf(sealed.text) !== sealed.digest) return refused('bad_signature');
  const key = opening.publicKey(sealed.keyId);
  if (key === 'retired') return refused('retired_key');
  if (key === null || !isSignedBy(key, sealed)) return refused('bad_signature');
  const message = parseSigned(sealed.text);
  if (message === null || message.id !== sealed.id || message.body.kind !== sealed.kind)
    return refused('bad_signature');
  if (message.run !== opening.run || message.environment !== opening.environment) return refused('wrong_run');
  return { status: 'ok', message };
}

function refused(reason: MessageRefusal): Opened {
  return { status: 'refused', reason };
}

function digestOf(text: string): string {
  return `sha256:${createHash('sha256').update(text, 'utf8').digest('hex')}`;
}

function isSignedBy(key: KeyObject, { signature: given, text }: SealedMessage): boolean {
  try {
    const signature = Buffer.from(given, 'base64url');
    // Only the canonical encoding, so that a signature has one text.
    if (signature.length !== 64 || signature.toString('base64url') !== given) return false;
    return verify(null, Buffer.from(text, 'utf8'), key, signature);
  } catch {
    return false;
  }
}

function parseSigned(text: string): SignedMessage | null {
  try {
    const parsed = signedSchema.safeParse(JSON.parse(text));
    return parsed.success ? (parsed.data as SignedMessage) : null;
  } catch {
    return null;
  }
}

const short = z.string().max(1_000);
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
  commit: short,
  bytes: z.int().nonnegative(),
  media: short,
  payload: short,
  masked: z.array(short),
});

const body = z.discriminatedUnion('kind', [
  z.strictObject({
    kind: z.literal('start'),
    flow: short,
    flowVersion: z.int().positive(),
    planHash: short,
    mode: z.enum(['live', 'shadow']),
    traceId: short,
  }),
  z.strictObject({
    kind: z.literal('submit'),
    transition: short,
    expectedVersion: z.int().nonnegative().nullable(),
  }),
  z.strictObject({
    kind: z.literal('decide'),
    approval: short,
    decision: z.enum(['approve', 'deny']),
    digest: short,
    reasonGiven: z.boolean(),
    via: z.enum(decisionDoors).optional(),
  }),
  z.strictObject({ kind: z.literal('cancel') }),
  z.strictObject({ kind: z.literal('retry'), about: short.nullable().optional() }),
]);

const signedSchema = z.strictObject({
  v: z.literal(1),
  id: short,
  run: short,
  environment: short,
  time: z.iso.datetime(),
  principal: principalSchema,
  body,
  refs: z.array(payloadRef),
});
