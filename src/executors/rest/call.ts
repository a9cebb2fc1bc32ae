import type { Template } from '../../engine/plan.js';
import { resolveTemplate, resolveText } from '../../engine/expression/template.js';
import type { Room } from '../../engine/effects/room.js';
import type { Json } from '../../model/values/json.js';
import { headerName, reservedHeaders } from '../../model/http.js';
import { writeBody } from './body.js';
import type { RestCall, RestExecutor } from './types.js';
import type { Built, Scopes, Unresolved } from '../types.js';
import { toAsciiHeader, isHeaderValue, resolveTextValue, unresolved, unusable } from '../values.js';

// A rest executor's templates become one request. The connection is not known here.

export function buildRestCall(executor: RestExecutor, scopes: Scopes, room: Room): Built<RestCall> {
  const path = buildPath(executor, scopes, room);
  if (path.status !== 'resolved') return path;
  const query = buildPairs(executor.query, scopes, room, 'query parameter');
  if (query.status !== 'resolved') return query;
  const headers = buildHeaders(executor, scopes, room);
  if (headers.status !== 'resolved') return headers;
  const body = executor.body === null ? undefined : resolveTemplate(executor.body, scopes, room);
  if (body !== undefined && body.status !== 'resolved') return unresolved(body, 'the body');
  const unfit = body === undefined ? null : unfitBody(body.value, headers.pairs);
  if (unfit !== null) return unfit;
  const call: RestCall = {
    kind: 'rest',
    connection: executor.connection,
    method: executor.method,
    path: path.value,
    writtenPath: writtenPath(executor.path.parts),
    query: query.pairs,
    headers: headers.pairs,
    body: body?.value,
  };
  return { status: 'built', call };
}

/** Why the body cannot be written in the content type of these headers; null: it can, or they name no type. */
export function unfitBody(body: Json, headers: RestCall['headers']): Unresolved | null {
  const type = headers.find(([name]) => name.toLowerCase() === 'content-type')?.[1];
  const written = type === undefined ? null : writeBody(body, type);
  return written?.status === 'unfit' ? unusable(written.name ?? 'body', 'the call', written.why) : null;
}

/** Values of holes are percent-encoded, so that they never make a second segment. A value that makes a dot segment is refused. */
function buildPath(
  executor: RestExecutor,
  scopes: Scopes,
  room: Room,
): { status: 'resolved'; value: string } | Unresolved {
  let refused: string | null = null;
  const encodeHole = (hole: string): string => {
    if (hole === '') refused = 'is empty; give it one';
    if (!hole.isWellFormed()) refused = 'holds characters that cannot be sent; leave them out';
    return refused === null ? encodeURIComponent(hole) : '';
  };
  const parts = executor.path.parts.map((part) => (typeof part === 'string' ? encodeLiteral(part) : part));
  const resolved = resolveText(parts, scopes, encodeHole, room);
  if (resolved.status !== 'resolved') return unresolved(resolved, 'the path');
  const written = writtenPath(executor.path.parts);
  if (refused !== null) return unusable(written, 'the path', `has a value that ${String(refused)}`);
  if (hasDotSegment(resolved.value))
    return unusable(
      written,
      'the path',
      'would have the segment `.` or `..`; a path goes down only, so give it a name',
    );
  return {
    status: 'resolved',
    value: resolved.value.startsWith('/') ? resolved.value : `/${resolved.value}`,
  };
}

function writtenPath(parts: RestExecutor['path']['parts']): string {
  return parts.map((part) => (typeof part === 'string' ? part : `{${part.text}}`)).join('');
}

function encodeLiteral(text: string): string {
  return encodeURI(text.toWellFormed())
    .replace(/%25([0-9a-f]{2})/gi, '%$1')
    .replaceAll('#', '%23');
}

function hasDotSegment(path: string): boolean {
  const segments = (path.split('?')[0] ?? '').split(/[/\\]|%2f|%5c/i);
  return segments.some((segment) => /^(\.|%2e){1,2}$/i.test(segment));
}

type Pairs = { status: 'resolved'; pairs: (readonly [string, string])[] } | Unresolved;

function buildPairs(
  entries: readonly { key: string; value: Template }[],
  scopes: Scopes,
  room: Room,
  what: string,
): Pairs {
  const pairs: (readonly [string, string])[] = [];
  for (const { key, value } of entries) {
    const text = resolveTextValue(value, scopes, room, `${what} \`${key}\``);
    if (text.status === 'text') pairs.push([key, text.value]);
    else if (text.status !== 'absent') return text;
  }
  return { status: 'resolved', pairs };
}

function buildHeaders(executor: RestExecutor, scopes: Scopes, room: Room): Pairs {
  const built = buildPairs(executor.headers, scopes, room, 'header');
  if (built.status !== 'resolved') return built;
  const pairs = built.pairs.map(([key, value]) => [key, toAsciiHeader(value)] as const);
  for (const [key, value] of pairs) {
    const name = key.toLowerCase();
    if (!headerName.test(key)) return unusable(key, 'the headers', 'is no header name');
    if (reservedHeaders.has(name)) return unusable(key, 'the headers', 'is set by the service; leave it out');
    if (!isHeaderValue(value))
      return unusable(
        key,
        'the headers',
        'has a value that a header cannot carry; leave out what is not printable',
      );
  }
  return { status: 'resolved', pairs };
}
