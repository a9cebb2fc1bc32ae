import type { Connection, ConnectionEntry } from '../../model/policy-set.js';
import { keysOfWritten, misfitOf, type Misfit } from '../check/connection-texts.js';
import { withoutCredentials } from '../check/credentials.js';
import { nearest, type PathSegment } from '../text/problems.js';
import { unique, type Reading } from '../folder/reading.js';
import { fit } from '../shape/check.js';
import { referencePattern } from '../shape/notifications.js';
import { connectionShape, type FileShape, type TargetShape } from '../shape/shapes.js';
import { problemAt, type Source } from '../text/source.js';

export function connectionsOf(
  reading: Reading,
  source: Source,
  shape: FileShape | null,
  environments: readonly string[],
): ConnectionEntry[] {
  return Object.entries(shape?.connections ?? {}).flatMap(([name, value]): ConnectionEntry[] => {
    const path = ['connections', name];
    if (!unique(reading, source, 'connection', name, path)) return [];
    const shaped = fit(source, value, connectionShape, path);
    if (shaped.status === 'invalid') {
      reading.errors.push(...shaped.problems);
      return [];
    }
    const one = shaped.value;
    if ('kind' in one) return [{ name, targets: target(reading, source, null, one, path) }];
    const kinds = new Set(Object.values(one.environments).map((each) => each.kind));
    if (kinds.size > 1)
      reading.errors.push(
        problemAt(
          source,
          'CONNECTION_KIND',
          [...path, 'environments'],
          `connection \`${name}\` is of several kinds: ${[...kinds].join(', ')}`,
          'key',
        ),
      );
    return [
      {
        name,
        targets: Object.entries(one.environments).flatMap(([key, each]) => {
          if (!environments.includes(key))
            reading.errors.push(
              problemAt(
                source,
                'UNKNOWN_ENVIRONMENT',
                [...path, 'environments', key],
                `unknown environment \`${key}\``,
                'key',
                nearest(key, environments),
              ),
            );
          return target(reading, source, key, each, [...path, 'environments', key]);
        }),
      },
    ];
  });
}

function target(
  reading: Reading,
  source: Source,
  environment: string | null,
  shape: TargetShape,
  path: readonly PathSegment[],
): { environment: string | null; connection: Connection }[] {
  const made = misfitOf(shape) ?? connectionOf(shape);
  if (made.status === 'made') {
    for (const key of keysOfWritten(shape, 'perhaps')) {
      const message = `\`${key}\` may be a credential as it is, for everybody to read: write \`secret://name\` or \`env://NAME\`, or acknowledge at the top of the file that it is none`;
      reading.together.push(problemAt(source, 'SECRET_SUSPECTED', [...path, ...key.split('/')], message));
    }
    return [{ environment, connection: made.connection }];
  }
  reading.errors.push(
    problemAt(source, made.code ?? 'CONNECTION_INVALID', [...path, ...made.key.split('/')], made.message),
  );
  return [];
}

type Made = { readonly status: 'made'; readonly connection: Connection } | Misfit;

function connectionOf(shape: TargetShape): Made {
  switch (shape.kind) {
    case 'rest': {
      const { baseUrl, allowPrivate = false, headers = {} } = shape;
      if (!validAddress(baseUrl)) return invalidAddress('baseUrl', baseUrl);
      return { status: 'made', connection: { kind: 'rest', baseUrl, allowPrivate, headers } };
    }
    case 'cli': {
      const { command, args = [], env = {}, workingDirectory = null } = shape;
      return { status: 'made', connection: { kind: 'cli', command, args, env, workingDirectory } };
    }
    case 'mcp':
      return mcpConnection(shape);
  }
}

const stdioKeys = ['args', 'env', 'workingDirectory'] as const;
const httpKeys = ['allowPrivate', 'headers'] as const;

function mcpConnection(shape: Extract<TargetShape, { kind: 'mcp' }>): Made {
  const { command, url } = shape;
  if ((command === undefined) === (url === undefined))
    return {
      status: 'invalid',
      key: 'kind',
      message: 'an mcp connection has a `command` or a `url`, one of the two',
    };
  const other = (url === undefined ? httpKeys : stdioKeys).find((key) => shape[key] !== undefined);
  if (other !== undefined)
    return {
      status: 'invalid',
      key: other,
      message: `\`${other}\` means nothing to an mcp connection with a \`${url === undefined ? 'command' : 'url'}\`: remove it`,
    };
  if (command !== undefined) {
    const { args = [], env = {}, workingDirectory = null } = shape;
    const transport = { kind: 'stdio', command, args, env, workingDirectory } as const;
    return { status: 'made', connection: { kind: 'mcp', transport } };
  }
  if (url === undefined || !validAddress(url, 'query')) return invalidAddress('url', url ?? '');
  const { allowPrivate = false, headers = {} } = shape;
  return {
    status: 'made',
    connection: { kind: 'mcp', transport: { kind: 'http', url, allowPrivate, headers } },
  };
}

function invalidAddress(key: string, text: string): Made {
  return {
    status: 'invalid',
    key,
    message: `\`${withoutCredentials(text)}\` is no http address without credentials and fragment, and no reference`,
  };
}

function validAddress(text: string, query: 'query' | 'no query' = 'no query'): boolean {
  if (referencePattern.test(text)) return true;
  if (!URL.canParse(text)) return false;
  const url = new URL(text);
  const bare = url.username === '' && url.password === '' && url.hash === '';
  return bare && /^https?:$/.test(url.protocol) && (query === 'query' || url.search === '');
}
