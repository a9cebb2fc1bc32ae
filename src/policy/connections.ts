import type { Connection, ConnectionEntry } from '../model/policy-set.js';
import type { PathSegment } from './problems.js';
import { nearest } from './problems.js';
import { unique, type Reading } from './reading.js';
import { fit } from './shape-check.js';
import { connectionShape, type FileShape, type TargetShape } from './shapes.js';
import { problemAt, type Source } from './source.js';

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
  const fail = (key: string, message: string): never[] => {
    reading.errors.push(problemAt(source, 'CONNECTION_INVALID', [...path, key], message, 'key'));
    return [];
  };
  switch (shape.kind) {
    case 'rest':
      return validAddress(shape.baseUrl)
        ? [
            {
              environment,
              connection: {
                kind: 'rest',
                baseUrl: shape.baseUrl,
                allowPrivate: shape.allowPrivate ?? false,
                headers: shape.headers ?? {},
              },
            },
          ]
        : fail('baseUrl', `\`${shape.baseUrl}\` is no http address and no reference`);
    case 'cli':
      return [
        {
          environment,
          connection: {
            kind: 'cli',
            command: shape.command,
            args: shape.args ?? [],
            env: shape.env ?? {},
            workingDirectory: shape.workingDirectory ?? null,
          },
        },
      ];
    case 'mcp': {
      const { command, url } = shape;
      if (command !== undefined && url === undefined)
        return [
          {
            environment,
            connection: {
              kind: 'mcp',
              transport: {
                kind: 'stdio',
                command,
                args: shape.args ?? [],
                env: shape.env ?? {},
                workingDirectory: shape.workingDirectory ?? null,
              },
            },
          },
        ];
      if (url === undefined || command !== undefined)
        return fail('kind', 'an mcp connection has a `command` or a `url`, one of the two');
      return validAddress(url)
        ? [
            {
              environment,
              connection: {
                kind: 'mcp',
                transport: {
                  kind: 'http',
                  url,
                  allowPrivate: shape.allowPrivate ?? false,
                  headers: shape.headers ?? {},
                },
              },
            },
          ]
        : fail('url', `\`${url}\` is no http address and no reference`);
    }
  }
}

function validAddress(text: string): boolean {
  if (/^(env|secret):\/\/[A-Za-z0-9_.-]+$/.test(text)) return true;
  return URL.canParse(text) && /^https?:$/.test(new URL(text).protocol);
}
