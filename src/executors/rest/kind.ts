import { z } from 'zod';
import { templatePaths } from '../../policy/compile/values.js';
import { json, values } from '../../policy/shape/basics.js';
import type { Kind, Reading } from '../kind.js';
import type { Unresolved } from '../types.js';
import { unresolvedRead } from '../values.js';
import { buildRestCall, unfitBody } from './call.js';
import { compileRest } from './compile.js';
import { restConnection } from './connection.js';
import { changeIn, overrideOf } from './overrides.js';
import type { RestCall, RestExecutor } from './types.js';

const shape = {
  method: z.enum(['GET', 'POST', 'PUT', 'PATCH', 'DELETE', 'HEAD']),
  path: z.string().regex(/^\//, { error: 'starts with `/`: the connection holds the rest of the address' }),
  query: values.optional(),
  headers: values.optional(),
  body: json.optional(),
};
export type RestShape = z.infer<z.ZodObject<typeof shape>> & { readonly connection: string };

export const evidence = 'rest_call';

/** One HTTP request. */
export const rest: Kind<RestShape, RestExecutor, RestCall> = {
  name: 'rest',
  connection: restConnection,
  shape,
  evidence,
  readByWord: 'a POST',
  compile: compileRest,
  paths: ({ path, query, headers, body }) => [
    ...templatePaths(path),
    ...[...query, ...headers].flatMap((pair) => templatePaths(pair.value)),
    ...(body === null ? [] : templatePaths(body)),
  ],
  isRead: (executor) => readMethods.has(executor.method) && overrideOf(executor) === null,
  reading: checkRead,
  build: (executor, scopes, _at, room) => buildRestCall(executor, scopes, room),
  refusedRead,
  unfit: ({ body }, sentWith) => (body === undefined ? null : unfitBody(body, sentWith)),
  preview: ({ connection, method, path, query, headers, body }) => ({
    ...{ kind: 'rest', connection, method, path },
    query: query.map(([name, value]) => ({ name, value })),
    headers: headers.map(([name, value]) => ({ name, value })),
    body: body ?? null,
  }),
  words: ({ method, path: { parts }, connection }) => {
    const path = parts.map((part) => (typeof part === 'string' ? part : `{${part.text}}`)).join('');
    return `calls ${method} ${path} of \`${connection}\``;
  },
  outline: ({ method }, call) => ({ call: `${method} ${call?.path ?? '?'}`, sends: call?.body ?? null }),
  response: (output) => ({ status: 200, headers: {}, body: output }),
};

const readMethods: ReadonlySet<string> = new Set(['GET', 'HEAD']);

function checkRead(executor: RestExecutor): Reading {
  const { method } = executor;
  const unproven = method === 'POST' ? { what: '`POST`', isRefused: true } : null;
  const override = overrideOf(executor);
  if (override !== null)
    return {
      writes: `\`${override}\` may make the call another than the one that is looked at: leave it out, or give the call the method and the tier that it has`,
      unproven,
    };
  const writes = `\`${method}\` is no read: the tier is \`reversible\` or \`irreversible\``;
  return { writes: readMethods.has(method) || unproven !== null ? null : writes, unproven };
}

/** The policy's checks have seen the template only: what arguments fill in may make the call another than a read. */
function refusedRead(executor: RestExecutor, call: RestCall): Unresolved | null {
  const name = changeIn(call) ?? overrideOf(executor);
  return name === null ? null : unresolvedRead(name);
}
