import { isObject, type Json } from '../../model/json.js';
import type { Finding, PathSegment } from '../text/problems.js';
import { referencePattern } from '../shape/notifications.js';
import { problemAt, type Source } from '../text/source.js';

// Where a folder names values that it does not hold. Whether they are there is a matter of the machine that makes the call.

export interface ReferencePlace {
  readonly of: 'connection' | 'channel';
  readonly name: string;
  /** Null: of every environment. */
  readonly environment: string | null;
  readonly reference: string;
  readonly place: Pick<Finding, 'file' | 'line' | 'column' | 'path'>;
}

export function referencesOf(sources: readonly Source[]): readonly ReferencePlace[] {
  return sources.flatMap((source) => [
    ...placesOf(source, 'connection', 'connections'),
    ...placesOf(source, 'channel', 'channels'),
  ]);
}

function placesOf(source: Source, of: ReferencePlace['of'], key: string): ReferencePlace[] {
  return stringsIn(held(source.value, key), [key]).flatMap(({ text, path }): ReferencePlace[] => {
    if (!referencePattern.test(text)) return [];
    const environment = path[2] === 'environments' ? String(path[3]) : null;
    const { code: _code, message: _message, ...place } = problemAt(source, 'REFERENCE_UNSET', path, '');
    return [{ of, name: String(path[1]), environment, reference: text, place }];
  });
}

interface Found {
  readonly text: string;
  readonly path: readonly PathSegment[];
}

function stringsIn(value: Json, path: readonly PathSegment[]): Found[] {
  if (typeof value === 'string') return [{ text: value, path }];
  if (typeof value !== 'object' || value === null) return [];
  return Object.entries(value).flatMap(([name, one]) =>
    stringsIn(one, [...path, Array.isArray(value) ? Number(name) : name]),
  );
}

function held(value: Json, key: string): Json {
  return isObject(value) && Object.hasOwn(value, key) ? (value[key] ?? null) : null;
}

/** `connection \`payroll\` in dev`. */
export function referenceOwner({
  of,
  name,
  environment,
}: Pick<ReferencePlace, 'of' | 'name' | 'environment'>): string {
  return `${of} \`${name}\`${environment === null ? '' : ` in ${environment}`}`;
}

/** `why` gives null where there is a value. What has none here may have one elsewhere: it cannot be acknowledged. */
export async function unsetWarnings(
  references: readonly ReferencePlace[],
  why: (reference: string) => Promise<string | null>,
): Promise<readonly Finding[]> {
  const found = await Promise.all(
    references.map(async (one): Promise<Finding | null> => {
      const missing = await why(one.reference);
      const message = `${referenceOwner(one)}: ${missing ?? ''}; without it nothing is sent`;
      return missing === null ? null : { code: 'REFERENCE_UNSET', ...one.place, message };
    }),
  );
  return found.filter((one) => one !== null);
}
