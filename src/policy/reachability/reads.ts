import { leavesOf } from '../../engine/guards.js';
import {
  asksPeople,
  type Executor,
  type Gate,
  type Guard,
  type Mapping,
  type Path as PathOperand,
  type Operand,
  type Reliability,
  type TextTemplate,
} from '../../engine/plan.js';
import { requireKind } from '../../executors/find-kind.js';
import { isObject, type Json, type JsonObject } from '../../model/values/json.js';
import { error, type Compiling, type Path } from '../compile/context.js';
import { templatePaths } from '../compile/values.js';
import { nearest } from '../text/problems.js';

// Which values a part of a flow reads, and whether anything could ever put them there.

/** A transition, a tool or an onEnter, as far as it reads arguments. */
export interface Reader {
  readonly name: string;
  readonly inputSchema: JsonObject | null;
  readonly guards?: readonly Guard[];
  readonly gate?: Gate | null;
  readonly executor: Executor | null;
  readonly reliability?: Reliability;
  readonly output: readonly Mapping[];
  readonly summary?: TextTemplate;
  readonly consequence?: TextTemplate;
}

/** Reports reads of arguments that the input schema does not declare: their author cannot have meant them so. */
export function checkReads(to: Compiling, reader: Reader, path: Path): void {
  const parts: readonly (readonly [string, readonly PathOperand[]])[] = [
    ['guards', (reader.guards ?? []).flatMap(guardPaths)],
    ['gate', gatePaths(reader.gate)],
    ['executor', reader.executor === null ? [] : executorPaths(reader.executor)],
    ['reliability', (reader.reliability?.fallback ?? []).flatMap(executorPaths)],
    ['output', mappingPaths(reader.output)],
    ['summary', reader.summary === undefined ? [] : templatePaths(reader.summary)],
    ['consequence', reader.consequence === undefined ? [] : templatePaths(reader.consequence)],
  ];
  for (const [part, operands] of parts) {
    for (const operand of operands) {
      if (declares(reader.inputSchema, operand)) continue;
      error(
        to,
        'UNDECLARED_ARGUMENT',
        [...path, part],
        `\`${operand.text}\` reads an argument that the input schema of \`${reader.name}\` does not declare${quotesHint(operand)}`,
        'key',
        () => nearest(operand.segments[0] ?? '', declaredNames(reader.inputSchema)),
      );
    }
  }
}

/** A word without quotes may have been meant as a text. */
function quotesHint({ text }: PathOperand): string {
  return text.startsWith('$') ? '' : `: if the text is meant, put it in quotes, \`"${text}"\``;
}

/** The paths that a gate reads: in its condition, and the time it expires with. */
export function gatePaths(gate: Gate | null | undefined): readonly PathOperand[] {
  return [...(gate?.on ? guardPaths(gate.on) : []), ...(gate?.expiresWith ?? [])];
}

export function declaredNames(schema: JsonObject | null): readonly string[] {
  const properties = schema?.['properties'];
  return isObject(properties) ? Object.keys(properties) : [];
}

/** Nobody submits an onEnter, so there are no arguments: not even `$.arguments` as a whole can be read. */
export function checkNoArguments(to: Compiling, output: readonly Mapping[], path: Path): void {
  for (const { scope, segments, text } of mappingPaths(output)) {
    if (scope === 'arguments' && segments.length === 0)
      error(
        to,
        'UNDECLARED_ARGUMENT',
        [...path, 'output'],
        `\`${text}\` reads arguments, and an onEnter has none: read the context or the input`,
        'key',
      );
  }
}

/** Whether an argument may be declared. True also of a path that reads no argument, and where a schema leaves names open or has
 * keywords that are not looked into. */
export function declares(schema: JsonObject | null, { scope, segments }: PathOperand): boolean {
  const [name, ...rest] = segments;
  if (scope !== 'arguments' || name === undefined) return true;
  return schema !== null && declaresName(schema, name, rest);
}

/** Whether the name of an argument may be declared, as `declares` says of a path. */
export function declaresArgument(schema: JsonObject, name: string): boolean {
  return declaresName(schema, name, []);
}

/** Keywords that declare no name beside `properties`. Any other keyword may, or is not looked into. */
const addingNoName = new Set([
  ...['$schema', '$id', '$comment', '$anchor', '$dynamicAnchor', '$defs', 'definitions'],
  ...['title', 'description', 'default', 'examples', 'deprecated', 'readOnly', 'writeOnly'],
  ...['type', 'nullable', 'enum', 'const', 'not', 'format'],
  ...['contentEncoding', 'contentMediaType', 'contentSchema'],
  ...['minimum', 'maximum', 'exclusiveMinimum', 'exclusiveMaximum', 'multipleOf'],
  ...['minLength', 'maxLength', 'pattern'],
  ...['items', 'prefixItems', 'contains', 'minContains', 'maxContains', 'unevaluatedItems'],
  ...['minItems', 'maxItems', 'uniqueItems'],
  ...['properties', 'required', 'propertyNames', 'minProperties', 'maxProperties', 'dependentRequired'],
]);

const namesForOthers = new Set(['additionalProperties', 'unevaluatedProperties']);

/** Whether a keyword with this value may declare names beside `properties`. */
function addsNames(key: string, value: Json): boolean {
  return namesForOthers.has(key) ? value !== false : !addingNoName.has(key);
}

function declaresName(schema: JsonObject, name: string, rest: readonly string[]): boolean {
  if (Object.entries(schema).some(([key, value]) => addsNames(key, value))) return true;
  const { properties } = schema;
  const inner = isObject(properties) && Object.hasOwn(properties, name) ? properties[name] : undefined;
  if (inner === undefined) return false;
  const [next, ...further] = rest;
  // Below the first name only a closed schema is certain: an object may have more properties than its schema names.
  if (next === undefined || !isObject(inner) || !isClosed(inner) || mayBeItem(inner, next)) return true;
  return declaresName(inner, next, further);
}

/** Whether the segment may be the index of a list item, which no `properties` declare. */
function mayBeItem({ type }: JsonObject, segment: string): boolean {
  const isObjectOnly =
    type === 'object' || (Array.isArray(type) && type.every((listed) => listed === 'object'));
  return /^\d+$/u.test(segment) && !isObjectOnly;
}

/** Whether the schema takes no name but those that it declares. */
export function isClosed(schema: JsonObject): boolean {
  return schema['additionalProperties'] === false || schema['unevaluatedProperties'] === false;
}

const isPath = (operand: Operand): operand is PathOperand => operand.kind === 'path';

export function guardPaths(guard: Guard): readonly PathOperand[] {
  return leavesOf(guard).flatMap((leaf) =>
    leaf.kind === 'expr' ? [leaf.expr.left, leaf.expr.right].filter(isPath) : [],
  );
}

export function executorPaths(executor: Executor): readonly PathOperand[] {
  return asksPeople(executor) ? [] : requireKind(executor.kind).paths(executor);
}

export function mappingPaths(mappings: readonly Mapping[]): readonly PathOperand[] {
  return mappings.flatMap(({ spec }) =>
    spec.kind !== 'set' ? spec.operands.filter(isPath) : spec.value.kind === 'path' ? [spec.value] : [],
  );
}
