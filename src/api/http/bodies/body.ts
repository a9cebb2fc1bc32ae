import { isUtf8 } from 'node:buffer';
import type { IncomingMessage } from 'node:http';
import { escapePointer } from '../../../model/values/json.js';
import { valueProblem } from '../../../model/values/value-problem.js';
import type { FlowText } from '../../../service/flows/publish-text.js';
import type { BodySpec } from '../call.js';
import { truncate } from '../../../model/values/text.js';
import type { HeldBody } from './held-bodies.js';
import { parseJsonText, type JsonText } from './json-text.js';
import { firstTwice, invalid, problem, type Problem } from '../../contract/problem.js';

const maxBytes = 1_048_576;
/** A client that goes on sending beyond this is cut off instead of answered. */
const maxDiscarded = 16 * maxBytes;

export interface RawBody {
  readonly kind: 'raw';
  readonly bytes: Buffer;
  /** Lower case, without parameters; '' when none was given. */
  readonly media: string;
}

const parsedBodies = new WeakMap<RawBody, JsonText>();

/** The body as JSON; parsed once for each body. */
export function jsonOf(raw: RawBody): JsonText {
  const known = parsedBodies.get(raw);
  if (known !== undefined) return known;
  const read = parseJsonText(raw.bytes);
  parsedBodies.set(raw, read);
  return read;
}

/** A page's form, and the text of a flow: parsing them is slower than parsing JSON. */
const maxFormBytes = 131_072;
const maxFlowBytes = 262_144;
/** A body that anybody may send, since only a signature in it says who sent it. */
const maxSignedBytes = 131_072;

/** How many bytes a body of that kind may have. */
export function maxBytesOf({ kind }: BodySpec): number {
  if (kind === 'form') return maxFormBytes;
  if (kind === 'signed') return maxSignedBytes;
  return kind === 'flow' ? maxFlowBytes : maxBytes;
}

/**
 * Reads the body. The type is checked before the size, and both before the content. `held`: the room for it, taken as it comes; null:
 * it needs none.
 */
export async function readBody(
  request: IncomingMessage,
  spec: BodySpec,
  held: HeldBody | null,
): Promise<RawBody | Problem> {
  const media = (request.headers['content-type'] ?? '').split(';')[0]?.trim().toLowerCase() ?? '';
  const length = Number(request.headers['content-length'] ?? 0);
  const sent = length > 0 || request.headers['transfer-encoding'] !== undefined;
  const mediaProblem = sent ? refuseMedia(request, spec, media) : null;
  if (mediaProblem !== null) return mediaProblem;
  const most = maxBytesOf(spec);
  if (length > most) return tooLarge(request, length, most);
  const read = await collect(request, most, held);
  if (read === null) return tooLarge(request, length, most);
  if (Buffer.isBuffer(read)) return { kind: 'raw', bytes: read, media };
  discard(request);
  return read;
}

function refuseMedia(request: IncomingMessage, spec: BodySpec, media: string): Problem | null {
  const encoding = request.headers['content-encoding'] ?? 'identity';
  if (encoding.toLowerCase() !== 'identity') {
    return problem(
      'UNSUPPORTED_MEDIA_TYPE',
      `content encoding \`${truncate(encoding, 60)}\` is not accepted: send the body as it is`,
    );
  }
  const accepted = acceptedMedia(spec);
  if (accepted.length === 0 || accepted.includes(media)) return null;
  return problem(
    'UNSUPPORTED_MEDIA_TYPE',
    `media type \`${truncate(media, 60)}\` is not accepted here: send ${accepted.slice(0, 2).join(' or ')}`,
  );
}

const yamlMedia = ['application/yaml', 'application/x-yaml', 'text/yaml', 'text/x-yaml'];

const formMedia = 'application/x-www-form-urlencoded';

export function acceptedMedia(spec: BodySpec): readonly string[] {
  if (spec.kind === 'none' || spec.kind === 'ignored') return [];
  if (spec.kind === 'form' || spec.kind === 'signed') return [formMedia];
  return spec.kind === 'flow' ? ['application/json', ...yamlMedia] : ['application/json'];
}

/** `length`: as its head says; 0 where it comes in chunks, of which no more are counted than are read. */
function tooLarge(request: IncomingMessage, length: number, most: number): Problem {
  discard(request);
  const bytes = length === 0 ? `more than ${most}` : length;
  return problem('TOO_LARGE', `the body has ${bytes} bytes, and ${most} are the most: send less`);
}

/** Reads and drops the rest, so that a client that is still sending gets the answer, up to `maxDiscarded`. */
function discard(request: IncomingMessage): void {
  let seen = 0;
  request.on('data', (chunk: Buffer) => {
    seen += chunk.length;
    if (seen > maxDiscarded) request.destroy();
  });
  request.resume();
}

/** Chunks of a body that are kept apart until they are joined. */
const chunksToJoin = 256;

/** Null: the body has more than `most` bytes. A problem: there is no room for it. */
function collect(
  request: IncomingMessage,
  most: number,
  held: HeldBody | null,
): Promise<Buffer | Problem | null> {
  return new Promise((resolve, reject) => {
    // The client has gone already: no event will come.
    if (request.destroyed && !request.complete) return reject(new ClientGone());
    const [joined, loose]: [Buffer[], Buffer[]] = [[], []];
    let size = 0;
    const take = (chunk: Buffer): void => {
      size += chunk.length;
      const full = size <= most ? (held?.take(chunk.length) ?? null) : null;
      if (size <= most && full === null) {
        loose.push(chunk);
        // A chunk of one byte takes a hundred times as much memory.
        if (loose.length >= chunksToJoin) joined.push(Buffer.concat(loose.splice(0)));
        return;
      }
      request.off('data', take);
      // What has come is let go of now, and not when the rest has come.
      joined.length = 0;
      loose.length = 0;
      resolve(full);
    };
    request.on('data', take);
    request.on('end', () => resolve(Buffer.concat([...joined, ...loose])));
    request.on('aborted', () => reject(new ClientGone()));
    request.on('error', () => reject(new ClientGone()));
  });
}

/** The client went away: there is nobody to answer. */
export class ClientGone extends Error {
  override readonly name = 'ClientGone';
}

/** What the handler gets, not validated yet: a value, the text of a flow, or nothing. */
export function parseBody(
  raw: RawBody,
  spec: BodySpec,
): { readonly kind: 'body'; readonly body: unknown } | Problem {
  if (spec.kind === 'ignored') return { kind: 'body', body: undefined };
  if (spec.kind === 'none') {
    if (raw.bytes.length === 0 || isEmptyObject(raw)) return { kind: 'body', body: undefined };
    return invalid('this call takes no body', [{ pointer: '', message: 'must be left out' }]);
  }
  if (spec.kind === 'flow') {
    const body: FlowText = { media: yamlMedia.includes(raw.media) ? 'yaml' : 'json', bytes: raw.bytes };
    return { kind: 'body', body };
  }
  if (spec.kind === 'signed') return { kind: 'body', body: raw.bytes };
  if (spec.kind === 'form') return parseForm(raw.bytes);
  if (raw.bytes.length === 0) return { kind: 'body', body: {} };
  const read = jsonOf(raw);
  if (read.status === 'malformed') return problem('MALFORMED', `the body is not valid JSON: ${read.message}`);
  if (read.status === 'too_large') return problem('TOO_LARGE', `the body ${read.message}: send less`);
  if (read.status === 'refused') return invalid(`the body ${read.errors[0]?.message ?? ''}`, read.errors);
  return { kind: 'body', body: read.value };
}

const maxFields = 100;

function parseForm(bytes: Buffer): { readonly kind: 'body'; readonly body: unknown } | Problem {
  const text = bytes.toString('utf8');
  if (text.split('&', maxFields + 1).length > maxFields)
    return problem('TOO_LARGE', `the form has more than ${maxFields} fields: send less`);
  const given = readFields(bytes);
  if (given === null)
    return problem(
      'MALFORMED',
      'the form is not UTF-8: nothing was done; send its text, and its `%` escapes, in UTF-8',
    );
  const twice = firstTwice(given);
  if (twice !== null)
    return invalid('a field of the form stands twice', [
      { pointer: `/${escapePointer(twice)}`, message: 'must stand once' },
    ]);
  const body = Object.fromEntries(given);
  const found = valueProblem(body, '');
  return found === null
    ? { kind: 'body', body }
    : invalid(`a field of the form cannot be kept: \`${found.pointer}\` ${found.message}`, [found]);
}

/** The fields of a form; null: its text, or an escape in it, is not UTF-8, which would be read as other characters than were sent. */
export function readFields(bytes: Buffer): readonly (readonly [name: string, value: string])[] | null {
  const text = bytes.toString('utf8');
  try {
    // A `%` that begins no escape stands for itself.
    decodeURIComponent(text.replace(/%(?![0-9a-f]{2})/gi, '%25'));
  } catch {
    return null;
  }
  return isUtf8(bytes) ? [...new URLSearchParams(text)] : null;
}

function isEmptyObject(raw: RawBody): boolean {
  return raw.bytes.length < 100 && /^\s*\{\s*\}\s*$/.test(raw.bytes.toString('utf8'));
}
