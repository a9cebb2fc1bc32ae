import type { Connection, ConnectionEntry } from '../../model/policy-set.js';
import { connectionKind } from '../../executors/kinds.js';
import { keysOfWritten, misfitOf, wayOut } from '../check/connection-texts.js';
import { nearest, type PathSegment } from '../text/problems.js';
import { unique, type Reading } from '../folder/reading.js';
import { fit } from '../shape/check.js';
import { connectionShape, type FileShape, type TargetShape } from '../shape/shapes.js';
import { problemAt, type Source } from '../text/source.js';

/** One with a mistake is known by its name, and leads nowhere: whoever uses it is told nothing more of it. */
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
      return [{ name, targets: [] }];
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
    const all = Object.entries(one.environments);
    const targets = all.flatMap(([key, each]) => {
      const at = [...path, 'environments', key];
      if (!environments.includes(key))
        reading.errors.push(
          problemAt(
            source,
            'UNKNOWN_ENVIRONMENT',
            at,
            `unknown environment \`${key}\``,
            'key',
            nearest(key, environments),
          ),
        );
      return target(reading, source, key, each, at);
    });
    return [{ name, targets: targets.length < all.length ? [] : targets }];
  });
}

function target(
  reading: Reading,
  source: Source,
  environment: string | null,
  shape: TargetShape,
  path: readonly PathSegment[],
): { environment: string | null; connection: Connection }[] {
  const made = misfitOf(shape) ?? connectionKind(shape.kind).compile(shape);
  if (made.status === 'made') {
    for (const key of keysOfWritten(shape, 'perhaps')) {
      const message = `\`${key}\` may be a credential as it is, for everybody to read: ${wayOut(key)}; or acknowledge at the top of the file that it is none`;
      reading.together.push(problemAt(source, 'SECRET_SUSPECTED', [...path, ...key.split('/')], message));
    }
    return [{ environment, connection: made.connection }];
  }
  reading.errors.push(
    problemAt(source, made.code ?? 'CONNECTION_INVALID', [...path, ...made.key.split('/')], made.message),
  );
  return [];
}
