import { isObject, type Json } from '../../model/values/json.js';
import type { Finding, PathSegment } from '../text/problems.js';
import { referencePattern } from '../shape/notifications.js';
import { problemAt, type Source } from '../text/source.js';

// References (`env://`, `secret://`): where a folder names values that it does not hold. Whether a value is there depends on the
// machine that makes the call.

export interface ReferencePlace {
  readonly of: 'connection' | 'channel';
  readonly name: string;
  /** Null: it serves every environment. */
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
  return stringsIn(propertyOf(source.value, key), [key]).flatMap(({ text, path }): ReferencePlace[] => {
    if (!referencePattern.test(text)) return [];
    const environment = path[2] === 'environments' ? String(path[3]) : null;
    const { code: _code, message: _message, ...place } = problemAt(source, 'REFERENCE_UNSET', path, '');
    return [{ of, name: String(path[1]), environment, reference: text, place }];
  });
}

interface FoundText {
  readonly text: string;
  readonly path: readonly PathSegment[];
}

function stringsIn(value: Json, path: readonly PathSegment[]): FoundText[] {
  if (typeof value === 'string') return [{ text: value, path }];
  if (typeof value !== 'object' || value === null) return [];
  return Object.entries(value).flatMap(([name, item]) =>
    stringsIn(item, [...path, Array.isArray(value) ? Number(name) : name]),
  );
}

function propertyOf(value: Json, key: string): Json {
  return isObject(value) && Object.hasOwn(value, key) ? (value[key] ?? null) : null;
}

/** For a sentence: `connection \`payroll\` in dev`. */
export function referenceOwner({
  of,
  name,
  environment,
}: Pick<ReferencePlace, 'of' | 'name' | 'environment'>): string {
  return `${of} \`${name}\`${environment === null ? '' : ` in ${environment}`}`;
}

/**
 * A warning for each reference without a value on this machine; `why` says why there is none, null where there is a value. They
 * cannot be acknowledged: another machine may have the value.
 */
export async function unsetWarnings(
  references: readonly ReferencePlace[],
  why: (reference: string) => Promise<string | null>,
): Promise<readonly Finding[]> {
  const found = await Promise.all(
    references.map(async (reference): Promise<Finding | null> => {
      const missing = await why(reference.reference);
      const message = `${referenceOwner(reference)}: ${missing ?? ''}; without it nothing is sent`;
      return missing === null ? null : { code: 'REFERENCE_UNSET', ...reference.place, message };
    }),
  );
  return found.filter((finding) => finding !== null);
}
