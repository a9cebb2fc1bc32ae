import { createHash } from 'node:crypto';
import { canonical } from '../../model/canonical.js';
import { idFromDigest } from '../../model/derived-ids.js';
import type { Json, JsonObject } from '../../model/json.js';
import type { Fact } from '../../model/records.js';
import { truncate } from '../../model/text.js';

// The envelope of docs/spec/evidence.md: canonical JSON of strings and integers, small, without free text.

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

const maxBytes = 60_000;
/** `sha256:` and 64 digits: what is cut shorter is no hash any more. */
const hashLength = 71;
/** Longest text in an envelope; where the whole is too large nevertheless, the next shorter one. */
const maxTexts = [2_000, 300, hashLength] as const;
const maxDepth = 20;

/**
 * Unique over the whole store. A record about a run is one record whichever process writes it: what
 * a run's hands say after its end may be said again by another worker.
 */
export function eventKey(place: Pick<Place, 'chain' | 'about'>, fact: Pick<Fact, 'key'>): string {
  const key = place.about === '' ? `${place.chain}/${fact.key}` : `about:${place.about}/${fact.key}`;
  return key.replaceAll('\0', '\uFFFD');
}

/** Deterministic: the same fact has the same id, however often it is written. */
export function recordId(place: Place, fact: Fact): string {
  return idFromDigest('rec', hex(eventKey(place, fact)));
}

/** One span for what happened to one action, 16 hex digits as OpenTelemetry has them. */
function spanId(fact: Fact): string {
  return hex(fact.action?.id ?? fact.causation ?? fact.key).slice(0, 16);
}

function hex(text: string): string {
  return createHash('sha256').update(text).digest('hex');
}

function envelope(fact: Fact, place: Place, link: Link, maxText: number): JsonObject {
  const { kind, id, roles } = fact.actor;
  const fields = compact(
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

/** Strings and integers only; absent where there is nothing; long texts cut with an ellipsis. */
function plain(value: Json, maxText: number, depth: number): Json | undefined {
  if (value === null) return undefined;
  if (typeof value === 'boolean') return String(value);
  if (typeof value === 'number') return Number.isSafeInteger(value) ? value : String(value);
  if (typeof value === 'string') return cut(value.toWellFormed(), maxText);
  if (depth > maxDepth) return '…';
  if (Array.isArray(value)) return value.map((one: Json) => plain(one, maxText, depth + 1) ?? '');
  return compact(value as JsonObject, maxText, depth + 1);
}

function compact(value: JsonObject, maxText: number, depth: number): JsonObject {
  const entries = Object.entries(value).flatMap(([key, inner]): [string, Json][] => {
    const found = inner === undefined ? undefined : plain(inner, maxText, depth);
    return found === undefined ? [] : [[cut(key.toWellFormed(), maxText), found]];
  });
  return Object.fromEntries(entries);
}

function cut(text: string, maxText: number): string {
  return truncate(text, maxText, '…');
}

/**
 * The exact bytes that are hashed and stored, under 60,000 of them. What is too large loses the ends
 * of its texts first, then its data, of which size and digest stay.
 */
export function bytesOf(fact: Fact, place: Place, link: Link): Buffer {
  for (const maxText of maxTexts) {
    const bytes = Buffer.from(canonical(envelope(fact, place, link, maxText)));
    if (bytes.length < maxBytes) return bytes;
  }
  const data = canonical(plain(fact.data, Number.MAX_SAFE_INTEGER, 0) ?? {});
  const kept = Object.fromEntries(
    ['count', 'head'].flatMap((key) => (key in fact.data ? [[key, fact.data[key] ?? '']] : [])),
  );
  const short: Fact = { ...fact, data: { ...kept, oversize: data.length, digest: `sha256:${hex(data)}` } };
  const bytes = Buffer.from(canonical(envelope(short, place, link, hashLength)));
  if (bytes.length < maxBytes) return bytes;
  throw new Error(`audit record \`${fact.type}\` is ${bytes.length} bytes without its data: over 60,000`);
}

/** RFC 6962 leaf hash. */
export function leafHash(body: Buffer): Buffer {
  return createHash('sha256')
    .update(Buffer.from([0]))
    .update(body)
    .digest();
}

export function hashText(hash: Buffer): string {
  return `sha256:${hash.toString('hex')}`;
}

/** What the writer asserted, without what differs between two tries of the same write: its clock, its stored payloads. */
export function factHash(fact: Fact): Buffer {
  const { time: _time, refs, ...rest } = fact;
  const asserted = { ...rest, refs: (refs ?? []).map(({ role, bytes, media }) => ({ role, bytes, media })) };
  const text = canonical(plain(asserted as unknown as Json, Number.MAX_SAFE_INTEGER, 0) ?? null);
  return createHash('sha256').update(text).digest();
}
