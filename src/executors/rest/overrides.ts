import type { Template } from '../../engine/plan.js';
import type { Json } from '../../model/json.js';
import type { Headers } from '../kind.js';
import { operationIn } from './graphql.js';
import type { RestCall, RestExecutor } from './types.js';

// What in a request may make it another method than its own, or another operation than a read.

/** What frameworks take for the method of a call, whatever its request line says; they read `-`, `.` and their like as `_`. */
const overrides = [
  'x_http_method_override',
  'x_http_method',
  'x_method_override',
  'x_tunneled_method',
  'x_original_method',
  '_httpmethod',
  '\\$httpmethod',
  'atg_rest_http_method',
  'alf_method',
  '_method',
].map((name) => name.replaceAll(/(?<=[a-z])_/g, '[-_. +[]'));

/**
 * One of these as a word, wherever it stands, so that no way to write a name around it counts. `payment_method` is another
 * word, the `n` of an escaped line break is none, and PHP reads a name `.method` as `_method`, behind blanks too.
 */
const override = new RegExp(
  String.raw`(?<!(?<!\\)[\p{L}\p{M}\p{N}_$])(?:${overrides.join('|')}|(?<=^|[?&;\s+])\.method)(?![a-z0-9_])`,
  'iu',
);

/** A type whose servers may read names that do not stand there as words: in parts, in parameters, in another charset. */
const unsearched = /multipart|charset(?!\s*=\s*["']?(?:utf-?8|us-ascii|iso-8859|windows-125))/i;

/** Stands for what a template is filled with. */
const filled = '…';

/** Whoever fills it says which parameter it is. */
const filledName = /[?&;][^a-z0-9?=&;]*…/i;

/** What in a call that is said to be a read may make it none. */
export function changeIn({ headers, path, query, body = null }: Sent): string | null {
  const values = query.map(([, value]) => value);
  const text = [path, ...query.flat(), asText(body)].join('\n');
  return (
    overrideIn(headers, text) ?? operationIn([path.slice(path.indexOf('?') + 1), ...values, asText(body)])
  );
}

type Sent = Pick<RestCall, 'headers' | 'path' | 'query' | 'body'>;

/** What in a call, as it is sent or as far as it is known, may make it another method; `text`: all but its headers. */
export function overrideIn(headers: Headers, text: string): string | null {
  const types = headers.flatMap(([name, value]) => (/^content-type$/i.test(name) ? [value] : []));
  const head = headers.map((one) => one.join(': ')).join('\n');
  const found = unsearched.exec(types.join('\n')) ?? override.exec(decoded(decoded(`${head}\n${text}`)));
  return found?.[0] ?? null;
}

/** Without the escapes of addresses and forms (`%5f`, `%u005f`) and of JSON and its kin (`\u005f`, `\x5f`); what is no escape stands for itself. */
function decoded(text: string): string {
  const escaped = text.replaceAll(/\\(?:x|u00)/gi, '%');
  return unescape(escaped.replaceAll(escapedBytes, asUtf8));
}

/** An escaped character of several bytes, as UTF-8 writes it; or a byte that is a part of none. */
const escapedBytes =
  /%(?:c[2-9a-f]|d[0-9a-f])%[89ab][0-9a-f]|%e0%[ab][0-9a-f]%[89ab][0-9a-f]|%ed%[89][0-9a-f]%[89ab][0-9a-f]|%e[1-9a-cef](?:%[89ab][0-9a-f]){2}|%f0%[9ab][0-9a-f](?:%[89ab][0-9a-f]){2}|%f[1-3](?:%[89ab][0-9a-f]){3}|%f4%8[0-9a-f](?:%[89ab][0-9a-f]){2}|%[89a-f][0-9a-f]/gi;

/** What is no UTF-8 is no letter. Nothing throws here: very many that did would hold up everybody. */
function asUtf8(escapes: string): string {
  return escapes.length === 3 ? '\ufffd' : decodeURIComponent(escapes);
}

/** The same in what its author has written, and in its connection's headers. What fills it is looked at when the call is built. */
export function overrideOf({ headers, query, path, body, overriddenBy }: RestExecutor): string | null {
  const pairs = (each: RestExecutor['query']): RestCall['query'] =>
    each.map(({ key, value }) => [key, asText(written(value))]);
  const way = asText(written(path));
  const call = { headers: pairs(headers), query: pairs(query), path: way, body: written(body) };
  return changeIn(call) ?? filledName.exec(decoded(way))?.[0] ?? overriddenBy ?? null;
}

function written(template: Template | null): Json {
  switch (template?.kind) {
    case undefined:
      return null;
    case 'literal':
      return template.value;
    case 'path':
      return filled;
    case 'text':
      return template.parts.map((part) => (typeof part === 'string' ? part : filled)).join('');
    case 'object':
      return Object.fromEntries(template.entries.map(({ key, value }) => [key, written(value)]));
    case 'array':
      return template.items.map(written);
  }
}

/** As a body is looked at, whatever its type says of how it is written. */
export function asText(body: Json): string {
  return typeof body === 'string' ? body : JSON.stringify(body);
}
