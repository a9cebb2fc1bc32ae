import type { Connection, ConnectionEntry } from '../../model/policy-set.js';
import { hasPrivateHost } from '../../executors/connections/private-addresses.js';
import { requireConnectionKind } from '../../executors/find-kind.js';
import { keysJudged, misfitOf, remedyFor } from '../check/connection-texts.js';
import { nearest, type PathSegment } from '../text/problems.js';
import { claimName, type Reading } from '../folder/reading.js';
import { fit } from '../shape/check.js';
import { connectionShape, type FileShape, type TargetShape } from '../shape/shapes.js';
import { problemAt, type Source } from '../text/source.js';

/** The connections of a file. A connection with a mistake has its name and no targets: what uses it is not reported again. */
export function compileConnections(
  reading: Reading,
  source: Source,
  shape: FileShape | null,
  environments: readonly string[],
): ConnectionEntry[] {
  return Object.entries(shape?.connections ?? {}).flatMap(([name, value]): ConnectionEntry[] => {
    const path = ['connections', name];
    if (!claimName(reading, source, 'connection', name, path)) return [];
    const shaped = fit(source, value, connectionShape, path);
    if (shaped.status === 'invalid') {
      reading.errors.push(...shaped.problems);
      return [{ name, targets: [] }];
    }
    const declared = shaped.value;
    if ('kind' in declared) return [{ name, targets: compileTarget(reading, source, null, declared, path) }];
    const kinds = new Set(Object.values(declared.environments).map((target) => target.kind));
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
    const all = Object.entries(declared.environments);
    const targets = all.flatMap(([key, target]) => {
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
      return compileTarget(reading, source, key, target, at);
    });
    return [{ name, targets: targets.length < all.length ? [] : targets }];
  });
}

function compileTarget(
  reading: Reading,
  source: Source,
  environment: string | null,
  shape: TargetShape,
  path: readonly PathSegment[],
): { environment: string | null; connection: Connection }[] {
  const compiled = misfitOf(shape) ?? requireConnectionKind(shape.kind).compile(shape);
  if (compiled.status === 'made') {
    for (const key of keysJudged(shape, 'perhaps')) {
      const message = `\`${key}\` may be a credential as it is, for everybody to read: ${remedyFor(key)}; or acknowledge at the top of the file that it is none`;
      reading.fileWarnings.push(problemAt(source, 'SECRET_SUSPECTED', [...path, ...key.split('/')], message));
    }
    warnPrivate(reading, source, shape, compiled.connection, path);
    return [{ environment, connection: compiled.connection }];
  }
  reading.errors.push(
    problemAt(
      source,
      compiled.code ?? 'CONNECTION_INVALID',
      [...path, ...compiled.key.split('/')],
      compiled.message,
    ),
  );
  return [];
}

/** Else people would be asked to approve calls that are then refused before anything is sent. */
function warnPrivate(
  reading: Reading,
  source: Source,
  { kind, allowPrivate = false }: TargetShape,
  connection: Connection,
  path: readonly PathSegment[],
): void {
  const { address: key, texts } = requireConnectionKind(kind);
  const { address } = texts(connection);
  if (allowPrivate || key === null || address === null || !hasPrivateHost(address)) return;
  const message = `\`${key}\` is a loopback or private address, so every call over it fails before anything is sent: where that is meant, write \`allowPrivate: true\` beside it`;
  reading.fileWarnings.push(problemAt(source, 'PRIVATE_ADDRESS', [...path, key], message));
}
