import Ajv2020, { type ErrorObject, type Options, type ValidateFunction } from 'ajv/dist/2020.js';
import { canonical } from '../model/values/canonical.js';
import { unescapePointer, pointerTo, type Json, type JsonObject } from '../model/values/json.js';
import { unfilledMessageOf, findUnfitting, type Behind } from './defaults/behind.js';
import { wholeName } from './ajv/compiled.js';
import { fillIn, type Filling } from './defaults/defaults.js';
import { formats } from './ajv/formats.js';
import { keywords } from './ajv/keywords.js';
import { plainMessage } from './ajv/messages.js';
import type { Pattern } from './patterns/pattern.js';
import { mostPatternCost, prepare, type Prepared } from './prepare.js';
import { track } from './ajv/tracking.js';
import type { Unfilled } from './defaults/unfilled.js';
import { withWork } from './work.js';

/** Which of two schemas refuses a value. `filled`: the first, with the defaults that `beside` fills in, which may be the cause or not. */
export type Refusing = 'schema' | 'beside' | 'filled';

export type SchemaCheck =
  | { readonly status: 'valid'; readonly value: JsonObject }
  | {
      readonly status: 'invalid';
      readonly errors: readonly { readonly pointer: string; readonly message: string }[];
      readonly refusing: Refusing;
    };

export interface UsableSchema {
  readonly status: 'ok';
  readonly patternCost: number;
  readonly filling: Filling;
  /** What in it would not be read as written; null: nothing. Asked when a flow is written, and not of a run that goes on. */
  readonly misreading: string | null;
  /** Defaults that are never filled in, or not in every place. */
  readonly unfilled: readonly Unfilled[];
  /** Stops at the first error. */
  readonly check: ValidateFunction;
  /** Gives all errors. */
  readonly explain: () => ValidateFunction;
  /**
   * `beside`: another schema that the value must fit too; each may take half of the work. `isKept`: the value is kept with its
   * defaults, so that these are bounded; true if left out.
   */
  validate(value: JsonObject, beside?: UsableSchema, isKept?: boolean): SchemaCheck;
}

export type CompiledSchema = UsableSchema | { readonly status: 'invalid'; readonly message: string };

const cacheSize = 500;
const cache = new Map<string, CompiledSchema>();
/** A plan's schema is the same object for as long as the plan is kept, so that its text need not be made again. */
const known = new WeakMap<JsonObject, CompiledSchema>();
const maxErrors = 20;
const longest = 262_144;

/** Units of work, of about 30 ns: a list of half a million numbers takes two million of them with a plain schema. */
const mostWork = 3_000_000;
/** Units of work for finding all errors, once it is known that there is one. */
const mostWorkOnErrors = 100_000;
/** Subschemas. With more of them only the first error is given: the compilation that finds all would take too long. */
const mostExplained = 100;

/**
 * Compiles JSON Schema 2020-12, strictly: unknown keywords and formats, references that lead out of the document and other
 * drafts do not compile. Nor does what could take long: patterns are matched in linear time, the schema's size is
 * bounded, and a validation that takes more work than is allowed ends as invalid. Defaults are filled into a copy before it
 * is validated: the caller's value is never changed, and is itself the result where the schema has no defaults.
 */
export function compileSchema(schema: JsonObject): CompiledSchema {
  const found = known.get(schema);
  if (found !== undefined) return found;
  const compiled = compileByText(schema);
  known.set(schema, compiled);
  return compiled;
}

/** Why two schemas cannot be used for the same value: compiling both, at its first check, would keep everybody waiting too long. Null: they can. */
export function tooMuchTogether(first: JsonObject, second: JsonObject): string | null {
  const [firstCompiled, otherCompiled] = [compileSchema(first), compileSchema(second)];
  if (firstCompiled.status === 'invalid' || otherCompiled.status === 'invalid') return null;
  return firstCompiled.patternCost + otherCompiled.patternCost <= mostPatternCost
    ? null
    : 'their patterns take too long to compile: bound lengths with `maxLength` instead of counts, or list words with `enum`';
}

function compileByText(schema: JsonObject): CompiledSchema {
  const key = keyOf(schema);
  if (key === null) return { status: 'invalid', message: 'a text in it holds a lone surrogate' };
  if (key.length > longest)
    return {
      status: 'invalid',
      message: `it is longer than ${longest} characters: describe less of the value`,
    };
  const found = cache.get(key);
  if (found !== undefined) return found;
  const compiled = compile(schema);
  const [oldest] = cache.keys();
  if (cache.size >= cacheSize && oldest !== undefined) cache.delete(oldest);
  cache.set(key, compiled);
  return compiled;
}

function keyOf(schema: JsonObject): string | null {
  try {
    return canonical(schema);
  } catch (error) {
    if (error instanceof TypeError) return null;
    throw error;
  }
}

const common: Options = {
  strict: true,
  ownProperties: true,
  strictRequired: false,
  // A list whose first items are described may be shorter, or longer.
  strictTuples: false,
  allowUnionTypes: true,
  // ajv would match the names with its own regular expressions.
  allowMatchingProperties: true,
  logger: false,
};

let dialect: Ajv2020.default | undefined;

/** Why this is no schema of the dialect; null: it is. All schemas share an instance, which compiles only the dialect. */
function dialectMisfit(schema: JsonObject): string | null {
  dialect ??= new Ajv2020.default({ ...common, formats });
  const fits = withWork(mostWork, () => dialect?.validateSchema(schema));
  if (fits === null) return 'the schema takes too long to read';
  if (fits.value === true) return null;
  return (
    wrongType(schema, dialect.errors ?? []) ?? dialect.errorsText(dialect.errors, { dataVar: 'the schema' })
  );
}

const types = ['array', 'boolean', 'integer', 'null', 'number', 'object', 'string'];

const typePlace =
  /(?<!\/(?:properties|patternProperties|dependentSchemas|\$defs|definitions))\/type(?:\/\d+)?$/;

/** Says of a word under `type` that it is no type. YAML reads `null` without quotes as no text at all. */
function wrongType(schema: JsonObject, errors: readonly ErrorObject[]): string | null {
  for (const { instancePath } of errors) {
    const place = typePlace.test(instancePath);
    const value = place ? valueAt(schema, instancePath) : undefined;
    if (value === null) return `\`${instancePath}\`: null is no type: write it in quotes, \`"null"\``;
    if (typeof value === 'string' && !types.includes(value))
      return `\`${instancePath}\`: \`${value.slice(0, 60).toWellFormed()}\` is no type: the types are ${types.join(', ')}`;
  }
  return null;
}

function valueAt(schema: JsonObject, pointer: string): Json | undefined {
  let value: Json | undefined = schema;
  for (const segment of pointer.split('/').slice(1)) {
    const name = unescapePointer(segment);
    if (typeof value !== 'object' || value === null || !Object.hasOwn(value, name)) return undefined;
    value = (value as { readonly [key: string]: Json })[name];
  }
  return value;
}

function compile(schema: JsonObject): CompiledSchema {
  const prepared = prepare(schema);
  if (prepared.status === 'invalid') return prepared;
  try {
    const { $schema: _dialect, ...rest } = schema;
    const misfit = dialectMisfit(rest);
    if (misfit !== null) return { status: 'invalid', message: `the schema is invalid: ${misfit}` };
    const ajv = makeAjv(prepared, false);
    const check = ajv.compile(prepared.schema);
    // A schema that refers to itself without end fails at its first use, so it is used here.
    if (withWork(mostWork, () => check({})) === null)
      return {
        status: 'invalid',
        message: 'its references multiply without going further into the value: refer to each subschema once',
      };
    let telling: ValidateFunction | undefined;
    const explain = (): ValidateFunction =>
      (telling ??=
        prepared.subschemas > mostExplained ? check : makeAjv(prepared, true).compile(prepared.schema));
    const { patternCost, misreading, unfilled, fillerWithout, source } = prepared;
    const left = unfittingOf(prepared, ajv);
    const filling = fillerWithout(new Set(left.map(({ own }) => own)))(source);
    const misfitting = misfitOfDefaults(filling, prepared.hasBranches, explain);
    if (misfitting !== null) return { status: 'invalid', message: misfitting };
    const usable: UsableSchema = {
      ...{ status: 'ok', patternCost, misreading, filling, check, explain },
      unfilled: [...unfilled, ...left.map(unfilledMessageOf)],
      validate: (value, beside, isKept) => validate(usable, value, beside, isKept),
    };
    return usable;
  } catch (error) {
    return {
      status: 'invalid',
      message: error instanceof Error ? plainMessage(error.message) : 'the schema does not compile',
    };
  }
}

/** The defaults that do not fit, and are left out. None where filling in has no end or takes too long: then a value that needs it is refused. */
function unfittingOf(prepared: Usable, ajv: Ajv2020.default): readonly Behind[] {
  const { schema, behind, askingBehind, fillerWithout } = prepared;
  if (behind.length === 0) return [];
  const asks = ajv.addSchema(schema, wholeName).compile(askingBehind.schema);
  const names = new Map(behind.map((item, index) => [item, String(askingBehind.names[index])]));
  const fits = (item: Behind, value: Json): boolean => asks({ [String(names.get(item))]: value });
  return withWork(mostWork / 5, () => findUnfitting(behind, fillerWithout, fits))?.value ?? [];
}

type Usable = Extract<Prepared, { status: 'prepared' }>;

/** Each schema has an instance of its own: two schemas may have the same `$id`. */
function makeAjv({ patterns, tracked, inlines }: Usable, allErrors: boolean): Ajv2020.default {
  const pattern = (text: string): Pattern => patterns.get(text) ?? unknownPattern(text);
  const regExp = Object.assign(pattern, { code: 'pattern' });
  const options = {
    ...common,
    formats,
    allErrors,
    meta: false,
    validateSchema: false,
    inlineRefs: inlines,
    // Shorter lists of names become code, of which there must not be much.
    loopRequired: 8,
    code: { regExp, optimize: false },
  };
  const ajv = new Ajv2020.default(options);
  for (const definition of keywords) {
    ajv.removeKeyword(String(definition.keyword));
    ajv.addKeyword(definition);
  }
  // ajv follows anchors, and in strict mode does not know their keyword.
  ajv.addKeyword('$anchor');
  track(ajv, tracked);
  return ajv;
}

function unknownPattern(text: string): never {
  throw new Error(`the pattern \`${text}\` was not prepared`);
}

/** Which default its own schema refuses, so that every call that leaves it out would be refused; null: none. */
function misfitOfDefaults(
  filling: Filling,
  hasBranches: boolean,
  explain: () => ValidateFunction,
): string | null {
  if (filling.parts.length === 0) return null;
  const filled = withWork(mostWork, () => fillIn([filling], {}));
  if (filled === null)
    return 'its defaults fill in too much, or one another without an end: take a `default` out of it';
  const all = explain();
  if (withWork(mostWorkOnErrors, () => all(filled.value)) === null) return null;
  // In a branch a name may be wrong only because another one is missing, which a call would send.
  const isItsOwn = ({ instancePath, schemaPath }: ErrorObject): boolean => {
    const [, name = ''] = instancePath.split('/');
    return !hasBranches || schemaPath.startsWith(`#/properties/${encodeURIComponent(name)}/`);
  };
  const misfit = (all.errors ?? []).find((error) => error.instancePath !== '' && isItsOwn(error));
  return misfit === undefined
    ? null
    : `the default of \`${misfit.instancePath}\` does not fit its own schema: it ${messageOf(misfit)}`;
}

/** Each schema may take the same share of the work; filling in defaults counts for the first. */
function validate(
  own: UsableSchema,
  given: JsonObject,
  beside: UsableSchema | undefined,
  isKept: boolean | undefined,
): SchemaCheck {
  const all = beside === undefined ? [own] : [own, beside];
  const fillings = all.map(({ filling }) => filling);
  let value = given;
  for (const schema of all) {
    const errors = misfits(schema, mostWork / all.length, () => {
      if (schema === own) value = fillIn(fillings, given, isKept);
      return value;
    });
    if (errors === null) continue;
    const isFilled = fillings[1] !== undefined && fillings[1].parts.length > 0;
    return {
      status: 'invalid',
      errors,
      refusing: schema !== own ? 'beside' : isFilled ? 'filled' : 'schema',
    };
  }
  return { status: 'valid', value };
}

type Errors = Extract<SchemaCheck, { status: 'invalid' }>['errors'];

/** The errors of a value; null: it fits. */
function misfits({ check, explain }: UsableSchema, most: number, valueOf: () => JsonObject): Errors | null {
  try {
    let value: JsonObject = {};
    const fits = withWork(most, () => check((value = valueOf())));
    if (fits === null)
      return errorOfWhole(
        'takes too much work to fill in or to check: send less, or simplify its schema or its defaults',
      );
    if (fits.value) return null;
    const errors = check.errors ?? [];
    const all = explain();
    const told = withWork(mostWorkOnErrors, () => all(value));
    return (told === null ? errors : (all.errors ?? errors)).slice(0, maxErrors).map(toError);
  } catch (error) {
    if (error instanceof RangeError) return errorOfWhole('is nested too deeply for its schema');
    // The message of the error may quote the value, and is not shown.
    const what = error instanceof Error ? error.name : 'an error';
    return errorOfWhole(
      `cannot be checked, for the check itself breaks off (${what}): write its schema in another way, and report this`,
    );
  }
}

/** An error of the whole value. */
function errorOfWhole(message: string): Errors {
  return [{ pointer: '', message }];
}

function toError(error: ErrorObject): { readonly pointer: string; readonly message: string } {
  return { pointer: pointerOf(error), message: messageOf(error) };
}

function pointerOf(error: ErrorObject): string {
  const params = error.params as Record<string, unknown>;
  const name = params['missingProperty'] ?? params['additionalProperty'] ?? params['unevaluatedProperty'];
  return typeof name === 'string' ? `${error.instancePath}${pointerTo([name])}` : error.instancePath;
}

function messageOf(error: ErrorObject): string {
  const params = error.params as Record<string, unknown>;
  if (error.keyword === 'required') return 'is required';
  if (error.keyword === 'additionalProperties') return 'is not declared by the schema';
  if (error.keyword === 'enum') return `must be one of ${listText(params['allowedValues'])}`;
  return error.message ?? 'does not fit the schema';
}

function listText(values: unknown): string {
  const text = JSON.stringify(values);
  return text.length > 500 ? `${text.slice(0, 497).toWellFormed()}...` : text;
}
