import type { Json, JsonObject } from '../../model/values/json.js';
import { mostContextBytes } from '../../model/limits.js';
import { quotedBytes, roomOf, takeBytes, type Room } from '../effects/room.js';
import type { Mapping, Operand } from '../plan.js';
import { readPath } from './template.js';
import { countMade, countOperand, makeWork, type Work } from '../run/work.js';

export interface MappingScopes {
  readonly arguments: JsonObject;
  readonly context: JsonObject;
  readonly input: JsonObject;
  readonly output: Json;
  readonly response: Json;
}

export interface Mapped {
  /** Null: it would be larger than a context may be, and was not made. */
  readonly context: JsonObject | null;
  /** The keys that the mapping writes, with their values. */
  readonly written: ReadonlyMap<string, Json>;
  /** What these values take. Where the context was not made, what they had come to when it was too much: they take at least that. */
  readonly bytes: number;
  readonly unresolved: Unresolved;
}

/** Paths that did not resolve. They wrote null, which is put on record. */
export interface Unresolved {
  readonly count: number;
  /** The first few, each once. */
  readonly paths: readonly string[];
}

const mostNamed = 5;

/** Applies an output mapping. All of its specs read the old context; only the keys that they write change. */
export function applyMapping(
  mappings: readonly Mapping[],
  scopes: MappingScopes,
  work: Work = makeWork(),
): Mapped {
  const unresolved = { count: 0, paths: [] as string[] };
  const read = (operand: Operand): Json => {
    countOperand(work);
    if (operand.kind === 'literal') return operand.value;
    const found = readPath(scopes, operand);
    if (found.found) return found.value;
    const { paths } = unresolved;
    unresolved.count += 1;
    if (paths.length < mostNamed && !paths.includes(operand.text)) paths.push(operand.text);
    return null;
  };
  const room = roomOf(mostContextBytes);
  const taken = (): number => mostContextBytes - room.left;
  const written = new Map<string, Json>();
  for (const { key, spec } of mappings) {
    const value = makeValue(spec, read, room, work);
    if (value === undefined) return { context: null, written, bytes: taken(), unresolved };
    written.set(key, value);
  }
  if (written.size === 0) return { context: scopes.context, written, bytes: 0, unresolved };
  const entries = [...Object.entries(scopes.context), ...written];
  countMade(work, 0, entries.length);
  return { context: Object.fromEntries(entries), written, bytes: taken(), unresolved };
}

/** The mapping with the shortest value in place of whatever the answer of a call decides: no answer makes it write less than this. */
export function withoutAnswer(mappings: readonly Mapping[]): Mapping[] {
  return mappings.map(({ key, spec }) => ({ key, spec: leastOf(spec) }));
}

const least: Mapping['spec'] = { kind: 'set', value: { kind: 'json', value: 0 } };

function leastOf(spec: Mapping['spec']): Mapping['spec'] {
  if (spec.kind === 'set') return spec.value.kind === 'path' && isOfAnswer(spec.value) ? least : spec;
  if (!spec.operands.some(isOfAnswer)) return spec;
  if (spec.kind !== 'concat') return least;
  return { ...spec, operands: spec.operands.filter((operand) => !isOfAnswer(operand)) };
}

function isOfAnswer(operand: Operand): boolean {
  return operand.kind === 'path' && (operand.scope === 'output' || operand.scope === 'response');
}

/** The value that a spec writes; undefined: the room is too small for it. */
function makeValue(
  spec: Mapping['spec'],
  read: (operand: Operand) => Json,
  room: Room,
  work: Work,
): Json | undefined {
  if (spec.kind === 'concat') return concatenate(spec.operands, read, room, work);
  const value =
    spec.kind !== 'set'
      ? arithmetic(spec.kind, spec.operands.map(read))
      : spec.value.kind === 'json'
        ? spec.value.value
        : read(spec.value);
  return takeBytes(room, work.measure(value).bytes) ? value : undefined;
}

function concatenate(
  operands: readonly Operand[],
  read: (operand: Operand) => Json,
  room: Room,
  work: Work,
): string | undefined {
  let text = '';
  for (const operand of operands) {
    const more = asText(read(operand));
    countMade(work, more.length);
    if (!takeBytes(room, quotedBytes(more) - 2)) return undefined;
    text += more;
  }
  return text;
}

function asText(value: Json): string {
  return typeof value === 'string' ? value : JSON.stringify(value);
}

/** Two operands; null counts as 0; anything else that is no number, or no finite result, gives null. */
function arithmetic(kind: 'add' | 'subtract' | 'multiply' | 'divide', values: readonly Json[]): Json {
  const [left, right] = values.map((value) => value ?? 0);
  if (typeof left !== 'number' || typeof right !== 'number' || values.length !== 2) return null;
  const result = calculate(kind, left, right);
  return Number.isFinite(result) ? result : null;
}

function calculate(kind: 'add' | 'subtract' | 'multiply' | 'divide', left: number, right: number): number {
  switch (kind) {
    case 'add':
      return left + right;
    case 'subtract':
      return left - right;
    case 'multiply':
      return left * right;
    case 'divide':
      return right === 0 ? Number.NaN : left / right;
  }
}
