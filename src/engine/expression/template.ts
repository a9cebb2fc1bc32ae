import type { Json, JsonObject } from '../../model/values/json.js';
import { isObject } from '../../model/values/json.js';
import { mostCallBytes, mostCallValues } from '../../model/limits.js';
import { quotedBytes, roomOf, takeBytes, takeValue, type Room } from '../effects/room.js';
import type { Path, Scope, Template } from '../plan.js';

/** What a path may read: of a scope that is absent here it finds nothing. */
export type PathScopes = { readonly [S in Scope]?: Json };

export type PathRead = { readonly found: true; readonly value: Json } | { readonly found: false };

export type ResolvedTemplate =
  | { readonly status: 'resolved'; readonly value: Json }
  /** The path that did not resolve, as written; `got` says what is there instead of a value that it takes. */
  | { readonly status: 'unresolved'; readonly path: string; readonly got: string }
  /** It would be larger than its room, so it was not made. */
  | { readonly status: 'too_large' };

export type NotResolved = Exclude<ResolvedTemplate, { status: 'resolved' }>;
export type ResolvedText = { readonly status: 'resolved'; readonly value: string } | NotResolved;

const tooLarge: NotResolved = { status: 'too_large' };
const notFound: PathRead = { found: false };
/** The room for all that the templates of one call make. */
export const callRoom = (): Room => roomOf(mostCallBytes, mostCallValues);

/** What kind of value this is, for a message that must not repeat the value. */
export function kindOf(value: null | JsonObject | readonly Json[]): string {
  if (value === null) return 'null';
  if (!Array.isArray(value)) return 'an object';
  return value.length === 0 ? 'an empty list' : `a list of ${value.length}`;
}

const asIs = (hole: string): string => hole;
const decimalIndex = /^(0|[1-9][0-9]*)$/;

/** Own properties only; arrays by decimal index; nothing below a string, number, boolean or null. */
export function readPath(scopes: PathScopes, path: Pick<Path, 'scope' | 'segments'>): PathRead {
  const value = valueAt(scopes, path);
  return value === undefined ? notFound : { found: true, value };
}

/** What `readPath` finds; `undefined` where it finds nothing. */
export function valueAt(scopes: PathScopes, path: Pick<Path, 'scope' | 'segments'>): Json | undefined {
  let value = Object.hasOwn(scopes, path.scope) ? scopes[path.scope] : undefined;
  for (const segment of path.segments) {
    if (value === undefined) return undefined;
    value = child(value, segment);
  }
  return value;
}

function child(value: Json, segment: string): Json | undefined {
  if (Array.isArray(value))
    return decimalIndex.test(segment) ? (value as readonly Json[])[Number(segment)] : undefined;
  if (isObject(value)) return Object.hasOwn(value, segment) ? value[segment] : undefined;
  return undefined;
}

/** Templates are no deeper than the policies that they are written in; what a store gives back may be. */
const maxTemplateDepth = 100;

/**
 * The value of a template, all or nothing: a path that does not resolve, and is not optional, leaves the whole unresolved.
 * What would take more bytes of canonical JSON than the room has left is not made.
 */
export function resolveTemplate(
  template: Template,
  scopes: PathScopes,
  room: Room = callRoom(),
  depth = 0,
): ResolvedTemplate {
  if (depth > maxTemplateDepth)
    return {
      status: 'unresolved',
      path: `a template nested deeper than ${maxTemplateDepth}`,
      got: 'nothing',
    };
  switch (template.kind) {
    case 'literal':
      return fitInto(room, template.value);
    case 'path':
      return resolvePath(template, scopes, room);
    case 'text':
      return resolveText(template.parts, scopes, asIs, room);
    case 'object':
      return resolveObject(template.entries, scopes, room, depth);
    case 'array':
      return resolveArray(template.items, scopes, room, depth);
  }
}

function fitInto(room: Room, value: Json): ResolvedTemplate {
  return takeValue(room, value) ? { status: 'resolved', value } : tooLarge;
}

function resolvePath(path: Path, scopes: PathScopes, room: Room): ResolvedTemplate {
  const read = readPath(scopes, path);
  if (!read.found && !path.optional) return { status: 'unresolved', path: path.text, got: 'nothing' };
  return fitInto(room, read.found ? read.value : null);
}

/**
 * Text with holes. A string, number or boolean fills its hole, after `encode`. An optional hole that is
 * missing or null is empty; any other null, and every object or array, has no text and is unresolved.
 */
export function resolveText(
  parts: readonly (string | Path)[],
  scopes: PathScopes,
  encode: (hole: string) => string,
  room: Room = callRoom(),
): ResolvedText {
  let text = '';
  const add = (more: string): boolean => {
    const fits = takeBytes(room, quotedBytes(more) - 2);
    if (fits) text += more;
    return fits;
  };
  for (const part of parts) {
    if (typeof part === 'string') {
      if (!add(part)) return tooLarge;
      continue;
    }
    const read = readPath(scopes, part);
    const value = read.found ? read.value : null;
    if (value === null && part.optional) continue;
    if (value === null || typeof value === 'object')
      return { status: 'unresolved', path: part.text, got: read.found ? kindOf(value) : 'nothing' };
    if (!add(encode(String(value)))) return tooLarge;
  }
  return { status: 'resolved', value: text };
}

function resolveObject(
  entries: readonly { readonly key: string; readonly value: Template }[],
  scopes: PathScopes,
  room: Room,
  depth: number,
): ResolvedTemplate {
  const resolved: [string, Json][] = [];
  for (const { key, value } of entries) {
    if (!takeBytes(room, quotedBytes(key) + 2)) return tooLarge;
    const result = resolveTemplate(value, scopes, room, depth + 1);
    if (result.status !== 'resolved') return result;
    resolved.push([key, result.value]);
  }
  return { status: 'resolved', value: Object.fromEntries(resolved) };
}

function resolveArray(
  items: readonly Template[],
  scopes: PathScopes,
  room: Room,
  depth: number,
): ResolvedTemplate {
  const resolved: Json[] = [];
  for (const item of items) {
    takeBytes(room, 1);
    const result = resolveTemplate(item, scopes, room, depth + 1);
    if (result.status !== 'resolved') return result;
    resolved.push(result.value);
  }
  return { status: 'resolved', value: resolved };
}
