import type { Principal } from '../model/principal.js';
import type { JsonObject } from '../model/values/json.js';
import type { PolicySet } from '../model/policy-set.js';
import type { CompiledFlow, Problem } from '../policy/index.js';
import { nearest, type PathSegment } from '../policy/text/problems.js';
import type { TestsShape } from '../policy/shape/tests.js';
import { problemAt, type Source } from '../policy/text/source.js';

// The names that a case uses, looked up.

type Path = readonly PathSegment[];

/** What a case may name. */
export interface Policies {
  readonly policySet: PolicySet;
  readonly flows: readonly CompiledFlow[];
}

export interface CaseReading {
  readonly source: Source;
  readonly policies: Policies;
  readonly shape: TestsShape;
  readonly principals: ReadonlyMap<string, Principal>;
  readonly problems: Problem[];
}

export function complain(
  reading: CaseReading,
  code: string,
  path: Path,
  message: string,
  suggestion?: string,
): void {
  reading.problems.push(problemAt(reading.source, code, path, message, 'value', suggestion));
}

/** What has that name; null: nothing has it, and a problem was reported at `path`. */
export function findNamed<T>(
  reading: CaseReading,
  what: string,
  name: string,
  among: ReadonlyMap<string, T>,
  path: Path,
): T | null {
  const found = among.get(name);
  if (found !== undefined) return found;
  const code = `UNKNOWN_${what.toUpperCase().replaceAll(' ', '_')}`;
  const known = [...among.keys()];
  const hint = nearest(name, known);
  const list =
    hint === undefined && known.length > 0
      ? `: it is one of ${known.map((candidate) => `\`${candidate}\``).join(', ')}`
      : '';
  complain(reading, code, path, `unknown ${what} \`${name}\`${list}`, hint);
  return null;
}

/** Reports keys that the flow neither starts with nor writes, and that can therefore never be in its context. */
export function checkContextKeys(
  reading: CaseReading,
  context: JsonObject | undefined,
  { initialContext, states }: CompiledFlow['plan'],
  path: Path,
): void {
  const written = states.flatMap((state) => [
    ...(state.onEnter?.output ?? []),
    ...state.transitions.flatMap((each) => each.output),
  ]);
  const keys = new Map(
    [...Object.keys(initialContext), ...written.map((mapping) => mapping.key)].map((key) => [key, key]),
  );
  for (const key of Object.keys(context ?? {})) findNamed(reading, 'context key', key, keys, [...path, key]);
}
