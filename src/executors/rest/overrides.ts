import type { Template } from '../../engine/plan.js';
import type { Json } from '../../model/values/json.js';
import type { Headers } from '../kind.js';
import { operationIn } from './graphql.js';
import type { RestCall, RestExecutor } from './types.js';

// What in a request may make a server run another method than the request's, or another operation than a read.

/** Names by which frameworks take a value for the method of a request, whatever its request line says. They read `-`, `.` and the like as `_`. */
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
 * One of these names as a word, anywhere, whatever is written around it. `payment_method` is another word; but behind `\n`, an
 * escaped line break, a word begins. PHP reads a name `.method` as `_method`, behind blanks too.
 */
const override = new RegExp(
  String.raw`(?<!(?<!\\)[\p{L}\p{M}\p{N}_$])(?:${overrides.join('|')}|(?<=^|[?&;\s+])\.method)(?![a-z0-9_])`,
  'iu',
);

/** Content types in which a server may read names that cannot be found as words: in parts, in parameters, in another charset. */
const unsearched = /multipart|charset(?!\s*=\s*["']?(?:utf-?8|us-ascii|iso-8859|windows-125))/i;

/** Stands for a value that fills a hole of a template. */
const filled = '…';

/** A hole in the place of a parameter's name: the value decides which parameter it is. */
const filledName = /[?&;][^a-z0-9?=&;]*…/i;

/** What in a call that is said to be a read may make it a change; null: nothing. */
export function changeIn({ headers, path, query, body = null }: Sent): string | null {
  const values = query.map(([, value]) => value);
  const text = [path, ...query.flat(), asText(body)].join('\n');
  return (
    overrideIn(headers, text) ?? operationIn([path.slice(path.indexOf('?') + 1), ...values, asText(body)])
  );
}

type Sent = Pick<RestCall, 'headers' | 'path' | 'query' | 'body'>;

/** What in a call may make it another method, as far as the call is known; null: nothing. `text`: all of it but the headers. */
export function overrideIn(headers: Headers, text: string): string | null {
  const types = headers.flatMap(([name, value]) => (/^content-type$/i.test(name) ? [value] : []));
  const head = headers.map((header) => header.join(': ')).join('\n');
  const found =
    unsearched.exec(types.join('\n')) ?? override.exec(decodeEscapes(decodeEscapes(`${head}\n${text}`)));
  return found?.[0] ?? null;
}

/** Undoes the escapes of addresses and forms (`%5f`, `%u005f`) and of JSON and the like (`\u005f`, `\x5f`). */
function decodeEscapes(text: string): string {
  const escaped = text.replaceAll(/\\(?:x|u00)/gi, '%');
  return unescape(escaped.replaceAll(escapedBytes, asUtf8));
}

/** An escaped character of several bytes in UTF-8; or a single escaped byte that belongs to no such character. */
const escapedBytes =
  /%(?:c[2-9a-f]|d[0-9a-f])%[89ab][0-9a-f]|%e0%[ab][0-9a-f]%[89ab][0-9a-f]|%ed%[89][0-9a-f]%[89ab][0-9a-f]|%e[1-9a-cef](?:%[89ab][0-9a-f]){2}|%f0%[9ab][0-9a-f](?:%[89ab][0-9a-f]){2}|%f[1-3](?:%[89ab][0-9a-f]){3}|%f4%8[0-9a-f](?:%[89ab][0-9a-f]){2}|%[89a-f][0-9a-f]/gi;

/** A byte that is no UTF-8 is no letter. Never throws: thousands of exceptions would hold up everybody. */
function asUtf8(escapes: string): string {
  return escapes.length === 3 ? '\ufffd' : decodeURIComponent(escapes);
}

/** `changeIn` for what the author has written and for the connection's headers. The values of holes are looked at when the call is built. */
export function overrideOf({ headers, query, path, body, overriddenBy }: RestExecutor): string | null {
  const pairs = (each: RestExecutor['query']): RestCall['query'] =>
    each.map(({ key, value }) => [key, asText(fillHoles(value))]);
  const way = asText(fillHoles(path));
  const call = { headers: pairs(headers), query: pairs(query), path: way, body: fillHoles(body) };
  return changeIn(call) ?? filledName.exec(decodeEscapes(way))?.[0] ?? overriddenBy ?? null;
}

function fillHoles(template: Template | null): Json {
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
      return Object.fromEntries(template.entries.map(({ key, value }) => [key, fillHoles(value)]));
    case 'array':
      return template.items.map(fillHoles);
  }
}

/** The body as a text to search in, whatever its content type. */
export function asText(body: Json): string {
  return typeof body === 'string' ? body : JSON.stringify(body);
}
