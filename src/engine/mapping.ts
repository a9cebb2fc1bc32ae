import type { Json, JsonObject } from '../model/json.js';
import { mostContextBytes } from '../model/limits.js';
import { quotedBytes, roomOf, takeBytes, takeValue, type Room } from './room.js';
import type { Mapping, Operand } from './plan.js';
import { readPath } from './template.js';

export interface MappingScopes {
  readonly arguments: JsonObject;
  readonly context: JsonObject;
  readonly input: JsonObject;
  readonly output: Json;
  readonly response: Json;
}

export interface Mapped {
  /** Null: what would be written is more than a context may be, and was not made. */
  readonly context: JsonObject | null;
  /** Paths that did not resolve: they wrote null, and that is recorded. */
  readonly unresolved: readonly string[];
}

/** Applies an output mapping. All specs read the old context; the keys they write are its only change. */
export function applyMapping(mappings: readonly Mapping[], scopes: MappingScopes): Mapped {
  const unresolved: string[] = [];
  const read = (operand: Operand): Json => {
    if (operand.kind === 'literal') return operand.value;
    const found = readPath(scopes, operand);
    if (!found.found) unresolved.push(operand.text);
    return found.found ? found.value : null;
  };
  const room = roomOf(mostContextBytes);
  const written: (readonly [string, Json])[] = [];
  for (const { key, spec } of mappings) {
    const value = made(spec, read, room);
    if (value === undefined) return { context: null, unresolved };
    written.push([key, value]);
  }
  if (written.length === 0) return { context: scopes.context, unresolved };
  return { context: Object.fromEntries([...Object.entries(scopes.context), ...written]), unresolved };
}

/** The same with the least in place of whatever only the answer of a call can tell: no answer makes it write less. */
export function withoutAnswer(mappings: readonly Mapping[]): Mapping[] {
  return mappings.map(({ key, spec }) => ({ key, spec: leastOf(spec) }));
}

const least: Mapping['spec'] = { kind: 'set', value: { kind: 'json', value: 0 } };

function leastOf(spec: Mapping['spec']): Mapping['spec'] {
  if (spec.kind === 'set') return spec.value.kind === 'path' && isOfAnswer(spec.value) ? least : spec;
  if (!spec.operands.some(isOfAnswer)) return spec;
  if (spec.kind !== 'concat') return least;
  return { ...spec, operands: spec.operands.filter((one) => !isOfAnswer(one)) };
}

function isOfAnswer(operand: Operand): boolean {
  return operand.kind === 'path' && (operand.scope === 'output' || operand.scope === 'response');
}

/** What a spec writes; undefined: the room is too small for it. */
function made(spec: Mapping['spec'], read: (operand: Operand) => Json, room: Room): Json | undefined {
  if (spec.kind === 'concat') return joined(spec.operands, read, room);
  const value =
    spec.kind !== 'set'
      ? arithmetic(spec.kind, spec.operands.map(read))
      : spec.value.kind === 'json'
        ? spec.value.value
        : read(spec.value);
  return takeValue(room, value) ? value : undefined;
}

function joined(
  operands: readonly Operand[],
  read: (operand: Operand) => Json,
  room: Room,
): string | undefined {
  let text = '';
  for (const operand of operands) {
    const more = asText(read(operand));
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
