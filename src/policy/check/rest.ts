import { headerName, reservedHeaders } from '../../model/http.js';
import type { Json } from '../../model/json.js';
import { breakTrouble, lineTrouble } from '../../model/text.js';
import { nearest } from '../text/problems.js';
import { error, type Compiling, type Path } from '../compile/context.js';
import { isWrittenCredential } from './credentials.js';
import type { ExecutorShape } from '../shape/shapes.js';

// What a rest executor may not say, told before a run finds out.

type RestShape = Extract<ExecutorShape, { kind: 'rest' }>;

export function checkRest(to: Compiling, shape: RestShape, path: Path): void {
  if (shape.body !== undefined && (shape.method === 'GET' || shape.method === 'HEAD'))
    error(to, 'WRONG_VALUE', [...path, 'body'], `a ${shape.method} has no body: use \`query\``, 'key');
  const written = shape.path.replaceAll(/\{[^{}]*\}/g, 'x').split('?')[0] ?? '';
  if (written.split(/[/\\]|%2f|%5c/i).some((segment) => /^(\.|%2e){1,2}$/i.test(segment)))
    error(to, 'WRONG_VALUE', [...path, 'path'], 'a path goes down only: write it without `.` and `..`');
  const trouble = lineTrouble(shape.path);
  if (trouble !== null) error(to, 'WRONG_VALUE', [...path, 'path'], `the path ${trouble}`);
  checkHeaders(to, shape, [...path, 'headers']);
  // A flow that was published before this was an error goes on as it did.
  if (to.rewritten === 'warned') return;
  for (const [name, value] of Object.entries(shape.query ?? {})) {
    const broken = breakTrouble(textOf(value));
    if (broken !== null) error(to, 'WRONG_VALUE', [...path, 'query', name], `\`${name}\` ${broken}`);
  }
}

/** What is written, where it is one value. */
function textOf(value: Json): string {
  return typeof value === 'object' ? '' : String(value);
}

function checkHeaders(to: Compiling, shape: RestShape, path: Path): void {
  const entry = to.catalog.policySet.connections.find((one) => one.name === shape.connection);
  const taken = (entry?.targets ?? []).flatMap(({ connection }) =>
    connection.kind === 'rest' ? Object.keys(connection.headers) : [],
  );
  for (const [name, value] of Object.entries(shape.headers ?? {})) {
    const same = name.toLowerCase();
    const at = [...path, name];
    const text = textOf(value);
    const trouble = lineTrouble(text);
    if (!headerName.test(name)) error(to, 'WRONG_VALUE', at, `\`${name}\` is no header name`, 'key');
    else if (reservedHeaders.has(same) || same === 'idempotency-key')
      error(to, 'WRONG_VALUE', at, `the service sets \`${name}\` itself: leave it out`, 'key');
    else if (taken.some((one) => one.toLowerCase() === same))
      error(
        to,
        'HEADER_TAKEN',
        at,
        `connection \`${shape.connection}\` sets \`${name}\`, and its headers cannot be overridden: leave it out`,
        'key',
      );
    else if (trouble !== null) error(to, 'WRONG_VALUE', at, `\`${name}\` ${trouble}`);
    else if (!text.startsWith('$.') && isWrittenCredential(name, text))
      error(
        to,
        'SECRET_REFERENCE',
        at,
        `\`${name}\` holds a credential as it is, for everybody to read, approvers too: put it into the connection's \`headers\`, as \`secret://name\` or \`env://NAME\``,
      );
  }
}

/** Of an executor's `connection`: is there one, and is it of the same kind? */
export function checkConnection(
  to: Compiling,
  shape: Extract<ExecutorShape, { connection: string }>,
  path: Path,
): void {
  const { connections } = to.catalog.policySet;
  const entry = connections.find((one) => one.name === shape.connection);
  if (entry === undefined) {
    const near = nearest(
      shape.connection,
      connections.map((one) => one.name),
    );
    return error(to, 'UNKNOWN_CONNECTION', path, `unknown connection \`${shape.connection}\``, 'value', near);
  }
  const kinds = [...new Set(entry.targets.map((one) => one.connection.kind))];
  if (kinds.length > 0 && !kinds.includes(shape.kind))
    error(
      to,
      'CONNECTION_KIND',
      path,
      `connection \`${shape.connection}\` is of kind \`${kinds.join(', ')}\`, and this executor of kind \`${shape.kind}\``,
    );
}
