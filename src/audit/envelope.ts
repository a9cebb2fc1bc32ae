import { createHash } from 'node:crypto';
import { canonical } from '../model/canonical.js';
import { isObject, type Json, type JsonObject } from '../model/json.js';
import type { Fact } from '../model/records.js';

// The envelope of EVIDENCE.md: canonical JSON of strings and integers, small, without free text.

export interface Place {
  readonly chain: string;
  /** Run id, or '' on a service chain. */
  readonly run: string;
  /** The run that a service record is about, or ''. */
  readonly about: string;
  readonly environment: string;
  readonly flow: string;
  readonly planHash: string;
  readonly traceId: string;
  readonly workflowId: string;
  readonly firstRunId: string;
}

export interface Link {
  readonly runseq: number;
  /** `sha256:<hex>`, null for the first. */
  readonly prev: string | null;
  /** ISO 8601 UTC, the store's clock. */
  readonly recordedtime: string;
}

const maxText = 2_000;
const maxBytes = 60_000;

export function envelope(fact: Fact, place: Place, link: Link): JsonObject {
  return compact({
    v: 1,
    id: recordId(place.chain, fact.key),
    type: fact.type,
    time: fact.time,
    recordedtime: link.recordedtime,
    tenant: 'default',
    environment: place.environment,
    flow: place.flow,
    planhash: place.planHash,
    chain: place.chain,
    run: place.run,
    about: place.about,
    runseq: link.runseq,
    prev: link.prev ?? '',
    causation: fact.causation ?? '',
    traceid: place.traceId,
    spanid: spanId(fact),
    actor: { kind: fact.actor.kind, id: fact.actor.id, ...(fact.actor.roles === undefined ? {} : { roles: fact.actor.roles }) },
    permission: fact.permission ?? '',
    policy: fact.policy ?? null,
    action: fact.action ?? null,
    approval: fact.approval ?? '',
    attempt: fact.attempt ?? null,
    temporal: place.workflowId === '' ? null : { workflowid: place.workflowId, runid: place.firstRunId },
    data: fact.data,
    refs: (fact.refs ?? []) as unknown as Json,
  });
}

/** Deterministic: the same fact of the same chain has the same id. */
export function recordId(chain: string, key: string): string {
  return `rec_${createHash('sha256').update(`${chain}\n${key}`).digest('hex').slice(0, 32)}`;
}

/** One span for what happened to one action, 16 hex digits as OpenTelemetry has them. */
function spanId(fact: Fact): string {
  return createHash('sha256').update(fact.action?.id ?? fact.causation ?? fact.key).digest('hex').slice(0, 16);
}

/** Strings and integers only; absent where there is nothing; long texts cut with an ellipsis. */
export function plain(value: Json): Json | undefined {
  if (value === null) return undefined;
  if (typeof value === 'boolean') return String(value);
  if (typeof value === 'number') return Number.isSafeInteger(value) ? value : String(value);
  if (typeof value === 'string') return cut(value.toWellFormed());
  if (Array.isArray(value)) return value.map((one: Json) => plain(one) ?? '');
  return compact(value as JsonObject);
}

function compact(value: JsonObject): JsonObject {
  const entries = Object.entries(value).flatMap(([key, inner]): [string, Json][] => {
    const found = plain(inner);
    return found === undefined ? [] : [[cut(key.toWellFormed()), found]];
  });
  return Object.fromEntries(entries);
}

function cut(text: string): string {
  return text.length <= maxText ? text : `${text.slice(0, maxText - 1).toWellFormed()}…`;
}

/** The exact bytes that are hashed and stored. Facts that would be too large lose their data, and say so. */
export function bytesOf(fact: Fact, place: Place, link: Link): Buffer {
  const bytes = Buffer.from(canonical(envelope(fact, place, link)));
  if (bytes.length < maxBytes) return bytes;
  const short: Fact = { ...fact, data: { oversize: bytes.length }, ...(fact.policy === undefined ? {} : { policy: { ...fact.policy, reason: fact.policy.reason.slice(0, 500) } }) };
  return Buffer.from(canonical(envelope(short, place, link)));
}

/** RFC 6962 leaf hash. */
export function leafHash(body: Buffer): Buffer {
  return createHash('sha256').update(Buffer.from([0])).update(body).digest();
}

export function hashText(hash: Buffer): string {
  return `sha256:${hash.toString('hex')}`;
}

/** What the writer asserted, without what differs between two tries of the same write. */
export function factHash(fact: Fact): Buffer {
  const refs = (fact.refs ?? []).map(({ role, bytes, media }) => ({ role, bytes, media }));
  const { time: _time, ...rest } = fact;
  const asserted = isObject(rest) ? { ...rest, refs } : rest;
  return createHash('sha256').update(canonical(plain(asserted as unknown as Json) ?? null)).digest();
}
