import type { Connection, ConnectionEntry } from '../../model/policy-set.js';
import {
  mostEnvironmentBytes,
  mostFixedArgumentsBytes,
  passedBytes,
  passingTrouble,
  variable,
} from '../../model/command-line.js';
import { holeTrouble } from '../check/holes.js';
import { nearest, type PathSegment } from '../text/problems.js';
import { unique, type Reading } from '../folder/reading.js';
import { fit } from '../shape/check.js';
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
  const made = wrongReference(shape) ?? unfilled(shape) ?? unpassable(shape) ?? connectionOf(shape);
  if (made.status === 'made') return [{ environment, connection: made.connection }];
  reading.errors.push(
    problemAt(source, made.code ?? 'CONNECTION_INVALID', [...path, ...made.key.split('/')], made.message),
  );
  return [];
}

type Made =
  | { readonly status: 'made'; readonly connection: Connection }
  | {
      readonly status: 'invalid';
      readonly code?: 'SECRET_REFERENCE';
      /** Below it, after a `/`, the name or index of one value. */
      readonly key: string;
      readonly message: string;
    };

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
    message: `\`${text}\` is no http address without credentials and fragment, and no reference`,
  };
}

const reference = /^(env:\/\/[A-Za-z_][A-Za-z0-9_]*|secret:\/\/[A-Za-z0-9_][A-Za-z0-9._-]*)$/;

function validAddress(text: string, query: 'query' | 'no query' = 'no query'): boolean {
  if (reference.test(text)) return true;
  if (!URL.canParse(text)) return false;
  const url = new URL(text);
  const bare = url.username === '' && url.password === '' && url.hash === '';
  return bare && /^https?:$/.test(url.protocol) && (query === 'query' || url.search === '');
}

/** What looks like a reference, or as if a variable were filled in. */
const referenceLike = /\b(env|envs|secret|secrets|file|vault|ssm|op):\/\/|\$\{[A-Za-z_]/i;

/** Headers, `env` and addresses (`env://` alone) may each be one reference as a whole; half of one, or another kind, would be sent as it stands. */
function wrongReference(shape: TargetShape): Extract<Made, { status: 'invalid' }> | null {
  const wrong = (key: string, name: string): Extract<Made, { status: 'invalid' }> => ({
    status: 'invalid',
    code: 'SECRET_REFERENCE',
    key,
    message: `\`${name}\` holds a reference that is not whole or of no known kind: write \`env://NAME\` or \`secret://name\` and nothing else`,
  });
  const bad = (text: string | undefined): boolean =>
    text !== undefined && referenceLike.test(text) && !reference.test(text);
  for (const key of ['baseUrl', 'url'] as const) {
    const text = (shape as Readonly<Record<string, unknown>>)[key] as string | undefined;
    if (text !== undefined && /^secret:\/\//i.test(text))
      return {
        ...wrong(key, key),
        message: `\`${key}\` is shown and bound by approvals, so it is no secret: write \`env://NAME\` or the address, and the secret into \`headers\``,
      };
    if (bad(text)) return wrong(key, key);
  }
  for (const [key, held] of [
    ['headers', 'headers' in shape ? shape.headers : undefined],
    ['env', 'env' in shape ? shape.env : undefined],
  ] as const)
    for (const [name, text] of Object.entries(held ?? {})) if (bad(text)) return wrong(key, name);
  if ('env' in shape && /^secret:\/\//i.test(shape.env?.['PATH'] ?? ''))
    return {
      ...wrong('env/PATH', 'PATH'),
      message:
        '`PATH` says which program runs and is bound by approvals, so it is no secret: write `env://NAME` or the path',
    };
  const unresolved = 'args' in shape ? (shape.args ?? []).findIndex((one) => reference.test(one)) : -1;
  return unresolved === -1
    ? null
    : {
        ...wrong(`args/${unresolved}`, 'args'),
        message:
          'references are not resolved in `args`, which others can read: hand the secret over in `env`',
      };
}

/** Its texts by where they stand. A connection is the same for every call: no value of one is filled in. */
function textsOf(shape: TargetShape): (readonly [key: string, text: string])[] {
  return Object.entries(shape).flatMap(([key, held]: [string, unknown]): [string, string][] => {
    if (typeof held === 'string') return [[key, held]];
    if (typeof held !== 'object' || held === null) return [];
    return Object.entries(held).map(([name, text]) => [`${key}/${name}`, String(text)]);
  });
}

function unfilled(shape: TargetShape): Made | null {
  for (const [key, text] of textsOf(shape)) {
    const message = holeTrouble(text, 'nothing');
    if (message !== null) return { status: 'invalid', key, message };
  }
  return null;
}

/** What no system would pass to a command. */
function unpassable(shape: TargetShape): Made | null {
  if (shape.kind === 'rest') return null;
  const { command = '', workingDirectory = '', args = [], env = {} } = shape;
  const texts: [string, string][] = [
    ['command', command],
    ['workingDirectory', workingDirectory],
    ...args.map((text, index): [string, string] => [`args/${index}`, text]),
    ...Object.entries(env).map((one): [string, string] => [`env/${one[0]}`, variable(one)]),
  ];
  for (const [key, text] of texts) {
    const trouble = passingTrouble(text);
    if (trouble !== null) return { status: 'invalid', key, message: `\`${key}\` ${trouble}` };
  }
  const odd = Object.keys(env).find((name) => name === '' || name.includes('='));
  if (odd !== undefined)
    return {
      status: 'invalid',
      key: 'env',
      message: `\`${odd}\` is no name of a variable: it is empty or holds \`=\``,
    };
  return (
    tooMuch('args', passedBytes(args), mostFixedArgumentsBytes) ??
    tooMuch('env', passedBytes(Object.entries(env).map(variable)), mostEnvironmentBytes)
  );
}

function tooMuch(key: string, bytes: number, most: number): Made | null {
  if (bytes <= most) return null;
  return { status: 'invalid', key, message: `\`${key}\` takes ${bytes} bytes, and ${most} are the most` };
}
