import { createHash } from 'node:crypto';
import { canonical } from '../../model/values/canonical.js';
import { idFromDigest } from '../../model/names/derived-ids.js';
import type { Json, JsonObject } from '../../model/values/json.js';
import type { Fact } from '../../model/records.js';
import { truncate } from '../../model/values/text.js';

// The envelope of docs/spec/evidence.md: canonical JSON of strings and integers, small, without free text.

/** The run that a record is of, and where it belongs. */
export interface RunScope {
  readonly run: string;
  readonly environment: string;
  readonly flow: string;
  readonly planHash: string;
  readonly traceId: string;
  readonly workflowId: string;
  readonly firstRunId: string;
}

/** `run`: '' on a service chain. */
export interface Place extends RunScope {
  readonly chain: string;
  /** The run that a service record is about, or ''. */
  readonly about: string;
}

export interface Link {
  readonly runseq: number;
  /** `sha256:<hex>`, null for the first. */
  readonly prev: string | null;
  /** ISO 8601 UTC, the store's clock. */
  readonly recordedtime: string;
}

const maxBytes = 60_000;
/** `sha256:` and 64 digits. A text cut shorter than this could no longer hold a hash. */
const hashLength = 71;
/** Longest text in an envelope, in UTF-16 units. Where the envelope is still too large, the next length applies. */
const maxTexts = [2_000, 300, hashLength] as const;
const maxDepth = 20;

/**
 * Unique in the whole store. A fact about a run has the same key whichever process writes it, since another worker may
 * record again what a worker recorded after the run's end.
 */
export function eventKey(place: Pick<Place, 'chain' | 'about'>, fact: Pick<Fact, 'key'>): string {
  const key = place.about === '' ? `${place.chain}/${fact.key}` : `about:${place.about}/${fact.key}`;
  return key.replaceAll('\0', '\uFFFD');
}

/** Deterministic: the same fact has the same id, however often it is written. */
export function recordId(place: Place, fact: Fact): string {
  return idFromDigest('rec', hex(eventKey(place, fact)));
}

/** The span id, 16 hex digits as in OpenTelemetry: all facts of an action share one span. */
function spanId(fact: Fact): string {
  return hex(fact.action?.id ?? fact.causation ?? fact.key).slice(0, 16);
}

function hex(text: string): string {
  return createHash('sha256').update(text).digest('hex');
}

function envelope(fact: Fact, place: Place, link: Link, maxText: number): JsonObject {
  const { kind, id, roles } = fact.actor;
  const fields = toPlainObject(
    {
      v: 1,
      id: recordId(place, fact),
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
      causation: fact.causation ?? '',
      traceid: place.traceId,
      spanid: spanId(fact),
      actor: { kind, id, ...(roles === undefined ? {} : { roles }) },
      permission: fact.permission ?? '',
      policy: fact.policy ?? null,
      action: fact.action ?? null,
      approval: fact.approval ?? '',
      attempt: fact.attempt ?? null,
      temporal: place.workflowId === '' ? null : { workflowid: place.workflowId, runid: place.firstRunId },
      data: fact.data,
      refs: (fact.refs ?? []) as unknown as Json,
    },
    maxText,
    0,
  );
  return { ...fields, prev: link.prev };
}

/** The value with strings and integers only, and long texts cut with an ellipsis; undefined for null. */
function toPlain(value: Json, maxText: number, depth: number): Json | undefined {
  if (value === null) return undefined;
  if (typeof value === 'boolean') return String(value);
  if (typeof value === 'number') return Number.isSafeInteger(value) ? value : String(value);
  if (typeof value === 'string') return cut(value.toWellFormed(), maxText);
  if (depth > maxDepth) return '…';
  if (Array.isArray(value)) return value.map((item: Json) => toPlain(item, maxText, depth + 1) ?? '');
  return toPlainObject(value as JsonObject, maxText, depth + 1);
}

function toPlainObject(value: JsonObject, maxText: number, depth: number): JsonObject {
  const entries = Object.entries(value).flatMap(([key, inner]): [string, Json][] => {
    const found = inner === undefined ? undefined : toPlain(inner, maxText, depth);
    return found === undefined ? [] : [[cut(key.toWellFormed(), maxText), found]];
  });
  return Object.fromEntries(entries);
}

function cut(text: string, maxText: number): string {
  return truncate(text, maxText, '…');
}

/**
 * The exact bytes that are hashed and stored, fewer than 60,000. A larger envelope first loses the ends of its texts, then its
 * data, whose size and digest remain.
 */
export function bytesOf(fact: Fact, place: Place, link: Link): Buffer {
  for (const maxText of maxTexts) {
    const bytes = Buffer.from(canonical(envelope(fact, place, link, maxText)));
    if (bytes.length < maxBytes) return bytes;
  }
  const data = canonical(toPlain(fact.data, Number.MAX_SAFE_INTEGER, 0) ?? {});
  const kept = Object.fromEntries(
    ['count', 'head'].flatMap((key) => (key in fact.data ? [[key, fact.data[key] ?? '']] : [])),
  );
  const short: Fact = { ...fact, data: { ...kept, oversize: data.length, digest: `sha256:${hex(data)}` } };
  const bytes = Buffer.from(canonical(envelope(short, place, link, hashLength)));
  if (bytes.length < maxBytes) return bytes;
  throw new Error(`audit record \`${fact.type}\` is ${bytes.length} bytes without its data: over 60,000`);
}

/** The leaf hash of RFC 6962. */
export function leafHash(body: Buffer): Buffer {
  return createHash('sha256')
    .update(Buffer.from([0]))
    .update(body)
    .digest();
}

export function hashText(hash: Buffer): string {
  return `sha256:${hash.toString('hex')}`;
}

/** The hash of what the writer asserted, without what differs when the write is tried again: its clock and its stored payloads. */
export function factHash(fact: Fact): Buffer {
  const { time: _time, refs, ...rest } = fact;
  const asserted = { ...rest, refs: (refs ?? []).map(({ role, bytes, media }) => ({ role, bytes, media })) };
  const text = canonical(toPlain(asserted as unknown as Json, Number.MAX_SAFE_INTEGER, 0) ?? null);
  return createHash('sha256').update(text).digest();
}
