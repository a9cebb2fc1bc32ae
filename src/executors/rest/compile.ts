import { headerName, reservedHeaders, writingOf } from '../../model/http.js';
import { isObject, type Json, type JsonObject } from '../../model/values/json.js';
import { breakTrouble, lineTrouble } from '../../model/values/text.js';
import {
  error,
  errorUnlessPublished,
  warn,
  type Compiling,
  type Path,
} from '../../policy/compile/context.js';
import { isCredential, judgeCredential } from '../../policy/check/credentials.js';
import { holeTrouble } from '../../policy/check/holes.js';
import { refuseSentRewritten, warnRewritten } from '../../policy/check/rewritten-values.js';
import { compileTemplate, compileText, compileSentTexts } from '../../policy/compile/values.js';
import type { RestShape } from './kind.js';
import { overrideIn } from './overrides.js';
import type { RestConnection, RestExecutor } from './types.js';

// Compiles a rest executor for a plan, and reports what a run could not send.

export function compileRest(
  to: Compiling,
  shape: RestShape,
  path: Path,
): Omit<RestExecutor, 'kind' | 'connection' | 'idempotencyKey'> {
  check(to, shape, path);
  return {
    method: shape.method,
    path: compileText(to, shape.path, [...path, 'path']),
    query: compileSentTexts(to, shape.query, [...path, 'query']),
    headers: compileSentTexts(to, shape.headers, [...path, 'headers']),
    body: shape.body === undefined ? null : compileTemplate(to, shape.body, [...path, 'body']),
    ...compileOverride(to, shape.connection),
  };
}

/** What in the headers of the connection, in any environment, may make a call another method. */
function compileOverride(to: Compiling, connection: string): { readonly overriddenBy?: string } {
  const overriddenBy = overrideIn(headersOf(to, connection), '');
  return overriddenBy === null ? {} : { overriddenBy };
}

function check(to: Compiling, shape: RestShape, path: Path): void {
  if (shape.body !== undefined && (shape.method === 'GET' || shape.method === 'HEAD'))
    error(to, 'WRONG_VALUE', [...path, 'body'], `a ${shape.method} has no body: use \`query\``, 'key');
  const written = shape.path.replaceAll(/\{[^{}]*\}/g, 'x').split('?')[0] ?? '';
  if (written.split(/[/\\]|%2f|%5c/i).some((segment) => /^(\.|%2e){1,2}$/i.test(segment)))
    error(to, 'WRONG_VALUE', [...path, 'path'], 'a path goes down only: write it without `.` and `..`');
  const trouble = lineTrouble(shape.path);
  if (trouble !== null) errorUnlessPublished(to, 'WRONG_VALUE', [...path, 'path'], `the path ${trouble}`);
  checkHeaders(to, shape, [...path, 'headers']);
  checkBody(to, shape, [...path, 'body']);
  for (const [name, value] of Object.entries(shape.query ?? {})) {
    const broken = breakTrouble(textOf(value));
    if (broken !== null)
      errorUnlessPublished(to, 'WRONG_VALUE', [...path, 'query', name], `\`${name}\` ${broken}`);
  }
}

/** A plain value as text; empty for an object or a list. */
function textOf(value: Json): string {
  return typeof value === 'object' ? '' : String(value);
}

/** Checks the body against its content type, where that is known: the executor's, or its connection's in any environment. */
function checkBody(to: Compiling, { body, headers = {}, connection }: RestShape, path: Path): void {
  const own = Object.entries(headers).map(([name, value]): [string, string] => [name, textOf(value)]);
  const taken = headersOf(to, connection);
  const types = [...own, ...taken].flatMap(([name, text]) =>
    name.toLowerCase() !== 'content-type' || /^(\$\.|env:|secret:)/.test(text) ? [] : [text],
  );
  const isForm = isObject(body) && types.some((type) => writingOf(type) === 'form');
  if (isForm) checkForm(to, body, path);
  else warnRewritten(to, body ?? null, path);
  const other = types.find((type) => ['text', isForm ? 'text' : 'form'].includes(writingOf(type)));
  if (other === undefined || typeof body !== 'object' || body === null) return;
  const message = `\`${other}\` cannot carry ${isObject(body) ? 'an object' : 'a list'}: write the body as one text, or as an object under \`application/json\` or \`application/x-www-form-urlencoded\``;
  errorUnlessPublished(to, 'WRONG_VALUE', path, message, 'key');
}

/** A form has names and plain values, which are sent as texts. */
function checkForm(to: Compiling, body: JsonObject, path: Path): void {
  for (const [name, value] of Object.entries(body)) {
    if (typeof value !== 'object' || value === null) refuseSentRewritten(to, value, [...path, name]);
    else
      errorUnlessPublished(
        to,
        'WRONG_VALUE',
        [...path, name],
        `a form has plain values, and \`${name}\` is ${isObject(value) ? 'an object' : 'a list'}: give each a name of its own, as its target writes them (\`${name}[0]\`, \`${name}[key]\`)`,
        'key',
      );
  }
}

/** The headers of a connection, in any environment. */
function headersOf({ catalog }: Compiling, connection: string): readonly (readonly [string, string])[] {
  const entry = catalog.policySet.connections.find((declared) => declared.name === connection);
  return (entry?.targets ?? []).flatMap(({ connection: target }) =>
    target.kind === 'rest' ? Object.entries((target as RestConnection).headers) : [],
  );
}

function checkHeaders(to: Compiling, shape: RestShape, path: Path): void {
  const taken = headersOf(to, shape.connection).map(([name]) => name.toLowerCase());
  for (const [name, value] of Object.entries(shape.headers ?? {})) {
    const same = name.toLowerCase();
    const at = [...path, name];
    const text = textOf(value);
    const trouble = lineTrouble(text);
    if (!headerName.test(name)) error(to, 'WRONG_VALUE', at, `\`${name}\` is no header name`, 'key');
    else if (reservedHeaders.has(same) || same === 'idempotency-key')
      error(to, 'WRONG_VALUE', at, `the service sets \`${name}\` itself: leave it out`, 'key');
    else if (taken.includes(same))
      error(
        to,
        'HEADER_TAKEN',
        at,
        `connection \`${shape.connection}\` sets \`${name}\`, and its headers cannot be overridden: leave it out`,
        'key',
      );
    else if (trouble !== null) errorUnlessPublished(to, 'WRONG_VALUE', at, `\`${name}\` ${trouble}`);
    // A hole that nobody filled in is reported elsewhere as a hole; here only if the text is certainly a credential as well.
    else if (!text.startsWith('$.') && (holeTrouble(text, 'path') === null || isCredential(text)))
      checkCredential(to, name, text, at);
  }
}

function checkCredential(to: Compiling, name: string, text: string, at: Path): void {
  const written = judgeCredential(name, text, true);
  const instead = "put it into the connection's `headers`, as `secret://name` or `env://NAME`";
  const way = `for everybody to read, approvers too: ${instead}`;
  if (written === 'credential')
    errorUnlessPublished(to, 'SECRET_REFERENCE', at, `\`${name}\` holds a credential as it is, ${way}`);
  if (written === 'no reference')
    errorUnlessPublished(
      to,
      'SECRET_REFERENCE',
      at,
      `\`${name}\` is sent as it stands, a secret or a reference that nothing fills in: ${instead}`,
    );
  if (written === 'perhaps')
    warn(to, 'SECRET_SUSPECTED', at, `\`${name}\` may be a credential as it is, ${way}`, 'value');
}
