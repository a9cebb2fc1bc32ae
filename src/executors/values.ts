import type { Path, Template } from '../engine/plan.js';
import { kindOf, resolveTemplate, type NotResolved } from '../engine/expression/template.js';
import type { Json } from '../model/values/json.js';
import { mostCallBytes, mostCallValues } from '../model/limits.js';
import type { Room } from '../engine/effects/room.js';
import type { Scopes, Unresolved } from './types.js';

/** A call that cannot be built: what its template lacks, or that the call would be larger than it may be. */
export function unresolved(not: NotResolved, where: string): Unresolved {
  if (not.status === 'too_large')
    return {
      status: 'too_large',
      message: `the call would take more than ${mostCallBytes} bytes or ${mostCallValues} values, which are the most: ${where} does not fit; send less, or name fewer values in it`,
    };
  const { path, got } = not;
  const isMissing = got === 'nothing' || got === 'null';
  const what = isMissing ? 'give it a value, or end it with `?` where it may be missing' : plainValue;
  return {
    status: 'unresolved',
    path,
    message: `\`${path}\` in ${where} does not resolve: it got ${got}; ${what}`,
  };
}

const plainValue = 'give it a text, a number, or true or false: it may name one of the values in there';

export function unusable(path: string, where: string, why: string): Unresolved {
  return { status: 'unresolved', path, message: `\`${path}\` in ${where} ${why}` };
}

/** A call that is said to change nothing is not made: a server may take `name` in it for another method or operation. */
export function unresolvedRead(name: string): Unresolved {
  return unusable(
    name,
    'the call',
    `may make it another than the one that is looked at, and it is said to change nothing: leave \`${name}\` out, or ask for it as an action of its own`,
  );
}

/** The first path of a template, as it is written: how a message names the template. */
export function pathText(template: Template): string {
  switch (template.kind) {
    case 'path':
      return template.text;
    case 'text':
      return (
        template.parts.find((part): part is Path => typeof part !== 'string')?.text ?? template.parts.join('')
      );
    case 'literal':
      return JSON.stringify(template.value);
    default:
      return template.kind;
  }
}

export type TextValue =
  | { readonly status: 'text'; readonly value: string }
  /** The value is null, as for an optional path that is missing: the header, parameter or argument is left out. */
  | { readonly status: 'absent' }
  | Unresolved;

/** A value that is sent as text: strings, numbers and booleans can be, objects and arrays cannot. */
export function resolveTextValue(template: Template, scopes: Scopes, room: Room, where: string): TextValue {
  const resolved = resolveTemplate(template, scopes, room);
  if (resolved.status !== 'resolved') return unresolved(resolved, where);
  return textValue(resolved.value, template, where);
}

function textValue(value: Json, template: Template, where: string): TextValue {
  if (value === null) return { status: 'absent' };
  if (typeof value === 'object')
    return unusable(pathText(template), where, `is ${kindOf(value)}; ${plainValue}`);
  const text = String(value);
  if (!text.isWellFormed() || text.includes('\0')) {
    return unusable(pathText(template), where, 'holds characters that cannot be sent; leave them out');
  }
  return { status: 'text', value: text };
}

/** May the text be a header's value? It has no line break, and no control character but the tab. */
export function isHeaderValue(value: string): boolean {
  return !/[\0-\x08\x0a-\x1f\x7f]/.test(value);
}

/** The text as a header's value: what is not ASCII is percent-encoded, since every server and proxy carries that. */
export function toAsciiHeader(value: string): string {
  return value.toWellFormed().replace(/[\u0080-\u{10ffff}]+/gu, encodeURIComponent);
}
