import { isObject, unescapePointer, type Json, type JsonObject } from '../model/values/json.js';
import { countValues, workKeyword, type WorkOf } from './ajv/keywords.js';
import { behindReferences, type Behind } from './defaults/behind.js';
import { makeAskingSchema, countCompiled, type Asking } from './ajv/compiled.js';
import { dialectProblem, misreadingIn, renameLists } from './dialects.js';
import { makeFiller, schemasTogether, type Filler } from './defaults/defaults.js';
import { compilePattern, type Pattern } from './patterns/pattern.js';
import { misreadNullIn } from './nulls.js';
import { hasOwnCode, mapSubschemas, pathText, type SchemaPath } from './subschemas.js';
import { trackingKeyword } from './ajv/tracking.js';
import { unfilledIn, type Unfilled } from './defaults/unfilled.js';

// What is checked in a schema before ajv compiles it: its dialect, its size, where its references lead. Each subschema gets the
// keyword that counts its work. A subschema without it would cost nothing, so references lead only to those that have it.

export type Prepared =
  | {
      readonly status: 'prepared';
      readonly schema: JsonObject;
      /** As it was written. */
      readonly source: JsonObject;
      readonly patterns: ReadonlyMap<string, Pattern>;
      readonly subschemas: number;
      /** ajv compiles the target of a reference in the place of the reference. */
      readonly inlines: boolean;
      /** Somewhere an `unevaluated…` keyword asks what other keywords have looked at. */
      readonly tracked: boolean;
      /** In microseconds, counted and not timed. */
      readonly patternCost: number;
      /** Properties whose defaults stand behind references; a schema to check these; and what is filled in without some of them. */
      readonly behind: readonly Behind[];
      readonly askingBehind: Asking;
      readonly fillerWithout: (left: ReadonlySet<JsonObject>) => Filler;
      readonly unfilled: readonly Unfilled[];
      /** A keyword such as `oneOf` or `if`, which not every value fits, applies to the whole value. */
      readonly hasBranches: boolean;
      /** What in it would not be read as written; null: nothing. */
      readonly misreading: string | null;
    }
  | { readonly status: 'invalid'; readonly message: string };

/** Compiling a subschema takes ajv up to a millisecond. */
const mostSubschemas = 300;
/** Subschemas as `countCompiled` counts them: targets of references outside of `$defs` are compiled in their own place as well. */
const mostCompiled = 600;
/** Microseconds that compiling the patterns of a schema may take: everybody waits while a schema is first used. */
export const mostPatternCost = 80_000;
/** All values in a schema together: names, allowed values and the like. */
const mostValues = 20_000;
const deepest = 64;
const longestReference = 1_000;

/** Thrown while preparing: what is wrong with the schema. */
class Unfit extends Error {
  override readonly name = 'Unfit';
}

interface Preparing {
  /** Somewhere `unevaluatedProperties` asks which names were looked at. */
  readonly tracked: boolean;
  /** Each subschema, with its path. */
  readonly found: Map<JsonObject, SchemaPath>;
  /** Subschemas that are `true` or `false`, where ajv makes code for each. */
  booleans: number;
  readonly anchors: Map<string, JsonObject>;
  readonly references: string[];
  readonly patterns: Map<string, Pattern>;
  patternCost: number;
}

const goesThroughNames = [
  'additionalProperties',
  'patternProperties',
  'propertyNames',
  'unevaluatedProperties',
  'minProperties',
  'maxProperties',
];
const branches = ['anyOf', 'oneOf', 'not', 'if', 'dependentSchemas', 'dependencies'];
const goesThroughItems = ['items', 'contains', 'unevaluatedItems'];

export function prepare(schema: JsonObject): Prepared {
  const to: Preparing = {
    tracked: JSON.stringify(schema).includes('"unevaluated'),
    found: new Map(),
    booleans: 0,
    anchors: new Map(),
    references: [],
    patterns: new Map(),
    patternCost: 0,
  };
  try {
    if (countValues(schema) > mostValues)
      throw new Unfit(
        `it holds more than ${mostValues} values: check such lists in the target, or by a guard`,
      );
    const { $schema: dialect, ...rest } = schema;
    const unknown = dialect === undefined ? null : dialectProblem(dialect);
    if (unknown !== null) throw new Unfit(unknown);
    const prepared = prepareObject(to, rest, { path: [], depth: 0, isCounted: false }, schema);
    for (const reference of to.references) checkReference(to, schema, reference);
    const { found, patterns, patternCost, tracked } = to;
    const reading = { resolve: (reference: string) => resolveReference(to, schema, reference), patterns };
    if (countCompiled(schema, reading, false) > mostCompiled)
      throw new Unfit(
        `its references lead into one another, which makes more than ${mostCompiled} subschemas of it: write each that is referred to under \`$defs\``,
      );
    const behind = behindReferences(reading, found);
    return {
      status: 'prepared',
      schema: prepared,
      source: schema,
      patterns,
      subschemas: found.size,
      inlines: countCompiled(schema, reading, true) <= mostSubschemas,
      tracked,
      patternCost,
      behind,
      askingBehind: makeAskingSchema(
        { schema: prepared, reading, paths: found },
        behind.map(({ path }) => path),
      ),
      fillerWithout: (left) => makeFiller(reading, left),
      unfilled: unfilledIn(schema, reading, found),
      misreading: misreadingIn(schema) ?? misreadNullIn(found, reading),
      hasBranches: [...schemasTogether(schema, reading)].some((part) =>
        branches.some((key) => Object.hasOwn(part, key)),
      ),
    };
  } catch (error) {
    if (error instanceof Unfit) return { status: 'invalid', message: error.message };
    throw error;
  }
}

/** Within one document these mean the same. They are replaced, since ajv resolves a `$dynamicRef` to the schema around it, and not to its anchor. */
const plainName: Readonly<Record<string, string>> = { $dynamicRef: '$ref', $dynamicAnchor: '$anchor' };

/** Keywords whose own cost counts a unit for each subschema that they hold. */
const countsEach = new Set(['allOf', 'anyOf', 'oneOf', 'prefixItems', 'properties']);

interface Place {
  readonly path: SchemaPath;
  readonly depth: number;
  /** The keyword that holds the subschema already counts a unit for it. */
  readonly isCounted: boolean;
}

function prepareObject(to: Preparing, schema: JsonObject, place: Place, original = schema): JsonObject {
  const { path, depth, isCounted } = place;
  if (depth > deepest) throw new Unfit(`${pathText(path)} is nested deeper than ${deepest} levels`);
  to.found.set(original, path);
  checkSize(to);
  checkKeywords(to, schema, path, original);
  // Without a `type` there is nothing that `nullable` could be said of.
  const { nullable, ...others } = renameLists(schema);
  const taken = nullable === undefined || schema['type'] === undefined ? others : { ...others, nullable };
  const entries = Object.entries(taken).map(([key, value]) => {
    const isCounted = countsEach.has(key);
    const inner = (value: JsonObject | boolean, steps: SchemaPath): Json => {
      if (typeof value === 'object')
        return prepareObject(to, value, { path: [...path, ...steps], depth: depth + 1, isCounted });
      if (hasOwnCode(value, steps)) to.booleans += 1;
      checkSize(to);
      return value;
    };
    return [plainName[key] ?? key, mapSubschemas(key, value, inner)] as const;
  });
  const work =
    isCounted && isFlat(schema)
      ? []
      : [[workKeyword, workOf(schema, to.tracked) as unknown as Json] as const];
  const tracking = to.tracked ? [[trackingKeyword, true] as const] : [];
  return Object.fromEntries([...entries, ...work, ...tracking]);
}

function checkSize({ found, booleans }: Preparing): void {
  if (found.size + booleans > mostSubschemas)
    throw new Unfit(
      `it has more than ${mostSubschemas} subschemas: say once what repeats, under \`$defs\`, or describe less of the value`,
    );
}

function checkKeywords(to: Preparing, schema: JsonObject, path: SchemaPath, original: JsonObject): void {
  const where = pathText(path);
  for (const ours of [workKeyword, trackingKeyword])
    if (Object.hasOwn(schema, ours)) throw new Unfit(`unknown keyword: "${ours}"`);
  if (Object.hasOwn(schema, '$async')) throw new Unfit('`$async` is no keyword of JSON Schema');
  if (path.length > 0 && (Object.hasOwn(schema, '$id') || Object.hasOwn(schema, '$schema')))
    throw new Unfit(`${where} has a \`$id\` or \`$schema\` of its own: only the whole schema may have one`);
  if (Array.isArray(schema['items']) || Object.hasOwn(schema, 'additionalItems'))
    throw new Unfit(
      `${where} has draft-07's \`items\` as a list, or \`additionalItems\`: write \`prefixItems\`, and \`items\` for the rest, without a \`$schema\` of draft-07`,
    );
  for (const [dynamic, plain] of Object.entries(plainName))
    if (Object.hasOwn(schema, dynamic) && Object.hasOwn(schema, plain))
      throw new Unfit(`${where} has \`${plain}\` and \`${dynamic}\`: keep one, or put one under \`allOf\``);
  checkNullable(schema, where);
  for (const key of ['$id', '$anchor', '$dynamicAnchor', '$ref', '$dynamicRef'] as const) {
    const value = schema[key];
    if (typeof value !== 'string') continue;
    if (value.length > longestReference)
      throw new Unfit(`${where}: \`${key}\` is longer than ${longestReference} characters`);
    if (key === '$anchor' || key === '$dynamicAnchor') to.anchors.set(value, original);
    else if (key !== '$id') to.references.push(value);
  }
  const { pattern, patternProperties } = schema;
  if (typeof pattern === 'string') addPattern(to, pattern, where);
  if (isObject(patternProperties))
    for (const key of Object.keys(patternProperties)) addPattern(to, key, where);
}

function checkNullable({ nullable, type }: JsonObject, where: string): void {
  if (nullable !== undefined && typeof nullable !== 'boolean')
    throw new Unfit(`${where} has a \`nullable\` that is neither true nor false`);
  if (nullable === false && [type].flat().includes('null'))
    throw new Unfit(
      `${where} says \`nullable: false\`, and its \`type\` takes null: leave one of the two out`,
    );
}

function addPattern(to: Preparing, text: string, where: string): void {
  if (to.patterns.has(text)) return;
  const compiled = compilePattern(text);
  if (compiled.status === 'invalid') throw new Unfit(compiled.message);
  to.patternCost += compiled.cost;
  if (to.patternCost > mostPatternCost)
    throw new Unfit(
      `its patterns, up to that of ${where}, take too long to compile: bound lengths with \`maxLength\` instead of counts, list words with \`enum\`, or write one pattern where several say the same`,
    );
  to.patterns.set(text, compiled.pattern);
}

/** A reference must lead to a subschema of the document that was prepared. */
function checkReference(to: Preparing, root: JsonObject, reference: string): void {
  const said = `\`${reference.slice(0, 100).toWellFormed()}\``;
  if (!reference.startsWith('#'))
    throw new Unfit(`the reference ${said} leads out of this schema: write what it names under \`$defs\``);
  if (decodeText(reference) === null)
    throw new Unfit(
      `the reference ${said} has a \`%\` that begins no escape of UTF-8: write it as \`%25\`, or the character itself that it is to stand for`,
    );
  if (resolveReference(to, root, reference) === undefined)
    throw new Unfit(`can't resolve reference ${said}: it leads to no subschema, such as one under \`$defs\``);
}

function resolveReference(to: Preparing, root: JsonObject, reference: string): Json | undefined {
  const fragment = decodeText(reference.slice(1));
  if (fragment === null) return undefined;
  const target =
    to.anchors.get(fragment) ??
    fragment
      .split('/')
      .slice(1)
      .reduce<unknown>((value, segment) => child(value, segment), root);
  return typeof target === 'boolean' || (isObject(target) && to.found.has(target)) ? target : undefined;
}

function child(value: unknown, segment: string): unknown {
  const name = unescapePointer(segment);
  if (typeof value !== 'object' || value === null || !Object.hasOwn(value, name)) return undefined;
  return (value as Readonly<Record<string, unknown>>)[name];
}

function decodeText(text: string): string | null {
  try {
    return decodeURIComponent(text);
  } catch {
    return null;
  }
}

/** What a subschema costs. `tracked`: names that a keyword has looked at are remembered for `unevaluatedProperties`, which costs more. */
function workOf(schema: JsonObject, tracked: boolean): WorkOf {
  const patterns = isObject(schema['patternProperties'])
    ? Object.keys(schema['patternProperties']).length
    : 0;
  const has = (keys: readonly string[]): boolean => keys.some((key) => Object.hasOwn(schema, key));
  return {
    units: Object.entries(schema).reduce((sum, [key, value]) => sum + unitsOf(key, value), 1),
    perName: has(goesThroughNames) ? (tracked ? 60 : 2) + patterns : 0,
    perItem: has(goesThroughItems) ? 0.25 : 0,
    length: has(['minLength', 'maxLength']),
  };
}

/** What a keyword costs, without its subschemas, which count their own work. */
function unitsOf(key: string, value: Json): number {
  if (key === 'enum' || key === '$defs' || key === 'definitions') return 1;
  if (key === 'const') return countValues(value);
  const inner = key === 'dependentRequired' || key === 'dependencies' ? countValues(value) : sizeOf(value);
  return 1 + inner;
}

function sizeOf(value: Json): number {
  if (Array.isArray(value)) return value.length;
  return isObject(value) ? Object.keys(value).length : 0;
}

const constant = new Set([
  'type',
  'title',
  'description',
  'default',
  'examples',
  'enum',
  'minimum',
  'maximum',
]);
const constantToo = ['exclusiveMinimum', 'exclusiveMaximum', 'multipleOf', 'format', 'pattern', 'deprecated'];
for (const key of constantToo) constant.add(key);

/** The subschema costs no more than the unit that the keyword around it counts for it. */
function isFlat(schema: JsonObject): boolean {
  return Object.keys(schema).every((key) => constant.has(key));
}
