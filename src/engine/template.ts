import type { Json } from '../model/json.js';
import { isObject } from '../model/json.js';
import type { Path, Scope, Template } from './plan.js';

/** What a path may read: a scope that is absent here is not found. */
export type PathScopes = { readonly [S in Scope]?: Json };

export type PathRead = { readonly found: true; readonly value: Json } | { readonly found: false };

export type ResolvedTemplate =
  | { readonly status: 'resolved'; readonly value: Json }
  /** The path that did not resolve, as written. */
  | { readonly status: 'unresolved'; readonly path: string };

export type ResolvedText =
  | { readonly status: 'resolved'; readonly value: string }
  | Extract<ResolvedTemplate, { status: 'unresolved' }>;

const notFound: PathRead = { found: false };
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

/** A template is as deep as the policy that it was written in; what a store gives back may be deeper. */
const maxTemplateDepth = 100;

/** All or nothing: one path that does not resolve, and is not optional, leaves the whole unresolved. */
export function resolveTemplate(template: Template, scopes: PathScopes, depth = 0): ResolvedTemplate {
  if (depth > maxTemplateDepth)
    return { status: 'unresolved', path: `a template nested deeper than ${maxTemplateDepth}` };
  switch (template.kind) {
    case 'literal':
      return { status: 'resolved', value: template.value };
    case 'path':
      return resolvePath(template, scopes);
    case 'text':
      return resolveText(template.parts, scopes);
    case 'object':
      return resolveObject(template.entries, scopes, depth);
    case 'array':
      return resolveArray(template.items, scopes, depth);
  }
}

function resolvePath(path: Path, scopes: PathScopes): ResolvedTemplate {
  const read = readPath(scopes, path);
  if (read.found) return { status: 'resolved', value: read.value };
  return path.optional ? { status: 'resolved', value: null } : { status: 'unresolved', path: path.text };
}

/**
 * Text with holes. A string, number or boolean fills its hole, after `encode`. An optional hole that is
 * missing or null is empty; any other null, and every object or array, has no text and is unresolved.
 */
export function resolveText(
  parts: readonly (string | Path)[],
  scopes: PathScopes,
  encode: (hole: string) => string = (hole) => hole,
): ResolvedText {
  let text = '';
  for (const part of parts) {
    if (typeof part === 'string') {
      text += part;
      continue;
    }
    const read = readPath(scopes, part);
    const value = read.found ? read.value : null;
    if (value === null && part.optional) continue;
    if (value === null || typeof value === 'object') return { status: 'unresolved', path: part.text };
    text += encode(String(value));
  }
  return { status: 'resolved', value: text };
}

function resolveObject(
  entries: readonly { readonly key: string; readonly value: Template }[],
  scopes: PathScopes,
  depth: number,
): ResolvedTemplate {
  const resolved: [string, Json][] = [];
  for (const { key, value } of entries) {
    const result = resolveTemplate(value, scopes, depth + 1);
    if (result.status === 'unresolved') return result;
    resolved.push([key, result.value]);
  }
  return { status: 'resolved', value: Object.fromEntries(resolved) };
}

function resolveArray(items: readonly Template[], scopes: PathScopes, depth: number): ResolvedTemplate {
  const resolved: Json[] = [];
  for (const item of items) {
    const result = resolveTemplate(item, scopes, depth + 1);
    if (result.status === 'unresolved') return result;
    resolved.push(result.value);
  }
  return { status: 'resolved', value: resolved };
}
