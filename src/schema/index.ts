import Ajv2020, { type ErrorObject, type Options, type ValidateFunction } from 'ajv/dist/2020.js';
import { canonical } from '../model/canonical.js';
import { pointerTo, type Json, type JsonObject } from '../model/json.js';
import { unfilledMessageOf, findUnfitting, type Behind } from './behind.js';
import { wholeName } from './compiled.js';
import { fillIn, type Filling } from './defaults.js';
import { formats } from './formats.js';
import { keywords } from './keywords.js';
import { plainMessage } from './messages.js';
import type { Pattern } from './pattern.js';
import { mostPatternCost, prepare, type Prepared } from './prepare.js';
import { track } from './tracking.js';
import type { Unfilled } from './unfilled.js';
import { withWork } from './work.js';

export { misreadingIn } from './dialects.js';

/** Which of two schemas refuses a value: `filled` is the first one, with what the one beside it fills in. */
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
  /** Defaults that are never filled in, or not everywhere. */
  readonly unfilled: readonly Unfilled[];
  /** Stops at the first error. */
  readonly check: ValidateFunction;
  /** Tells all of them. */
  readonly explain: () => ValidateFunction;
  /**
   * `beside`: another schema that the value must fit; each may take half of the work. `isKept`: the value with its defaults
   * is, so that it may not grow at will.
   */
  validate(value: JsonObject, beside?: UsableSchema, isKept?: boolean): SchemaCheck;
}

export type CompiledSchema = UsableSchema | { readonly status: 'invalid'; readonly message: string };

const mostCached = 500;
const cache = new Map<string, CompiledSchema>();
/** A plan's schema is one object for as long as the plan is kept: its text need not be made again. */
const known = new WeakMap<JsonObject, CompiledSchema>();
const maxErrors = 20;
const longest = 262_144;

/** Units of work, of about 30 ns: a list of half a million numbers takes two million of them with a plain schema. */
const mostWork = 3_000_000;
/** For telling what is wrong, once it is known that something is. */
const mostWorkOnErrors = 100_000;
/** With more subschemas the first error is told, not all: the second compilation would take too long. */
const mostExplained = 100;

/**
 * JSON Schema 2020-12, strict: unknown keywords and formats, references that lead out of the document and other
 * drafts do not compile. Nor does what could take long: patterns are matched in linear time, the schema's size is
 * bounded, and a validation that takes more work than is allowed ends as invalid. Defaults are filled into a copy before
 * anything is asked of it: the caller's value is never touched, and is itself the answer where the schema has none.
 */
export function compileSchema(schema: JsonObject): CompiledSchema {
  const found = known.get(schema);
  if (found !== undefined) return found;
  const compiled = compileByText(schema);
  known.set(schema, compiled);
  return compiled;
}

/** Why two schemas cannot hold for one value: its first check compiles both, and everybody waits. Null: they can. */
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
    return { status: 'invalid', message: `it is longer than ${longest} characters: take less apart` };
  const found = cache.get(key);
  if (found !== undefined) return found;
  const compiled = compile(schema);
  const [oldest] = cache.keys();
  if (cache.size >= mostCached && oldest !== undefined) cache.delete(oldest);
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
  // A list whose first items are described may be shorter, and go on.
  strictTuples: false,
  allowUnionTypes: true,
  // ajv would try the names on its own engine.
  allowMatchingProperties: true,
  logger: false,
};

let dialect: Ajv2020.default | undefined;

/** Is it a schema at all? One instance for all of them: what it compiles is the dialect. */
function dialectMisfit(schema: JsonObject): string | null {
  dialect ??= new Ajv2020.default({ ...common, formats });
  const fits = withWork(mostWork, () => dialect?.validateSchema(schema));
  if (fits === null) return 'the schema takes too long to read';
  return fits.value === true ? null : dialect.errorsText(dialect.errors, { dataVar: 'the schema' });
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
    // A schema that refers to itself without end is found by its first use.
    if (withWork(mostWork, () => check({})) === null)
      return { status: 'invalid', message: 'its references multiply without reading the value: say it once' };
    let telling: ValidateFunction | undefined;
    const explain = (): ValidateFunction =>
      (telling ??=
        prepared.subschemas > mostExplained ? check : makeAjv(prepared, true).compile(prepared.schema));
    const { patternCost, unfilled, fillerWithout, source } = prepared;
    const left = unfittingOf(prepared, ajv);
    const filling = fillerWithout(new Set(left.map(({ own }) => own)))(source);
    const misfitting = misfitOfDefaults(filling, prepared.hasBranches, explain);
    if (misfitting !== null) return { status: 'invalid', message: misfitting };
    const usable: UsableSchema = {
      ...{ status: 'ok', patternCost, filling, check, explain },
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

/** Where what is filled in is endless, or takes long, nothing is left out of it: a call without it is refused. */
function unfittingOf(prepared: Usable, ajv: Ajv2020.default): readonly Behind[] {
  const { schema, behind, askingBehind, fillerWithout } = prepared;
  if (behind.length === 0) return [];
  const asks = ajv.addSchema(schema, wholeName).compile(askingBehind.schema);
  const names = new Map(behind.map((item, index) => [item, String(askingBehind.names[index])]));
  const fits = (item: Behind, value: Json): boolean => asks({ [String(names.get(item))]: value });
  return withWork(mostWork / 5, () => findUnfitting(behind, fillerWithout, fits))?.value ?? [];
}

type Usable = Extract<Prepared, { status: 'prepared' }>;

/** One each: two schemas with one `$id` are not each other's business. */
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
    code: { regExp, optimize: false },
  };
  const ajv = new Ajv2020.default(options);
  for (const definition of keywords) {
    ajv.removeKeyword(String(definition.keyword));
    ajv.addKeyword(definition);
  }
  // It follows anchors and does not know their keyword.
  ajv.addKeyword('$anchor');
  track(ajv, tracked);
  return ajv;
}

function unknownPattern(text: string): never {
  throw new Error(`the pattern \`${text}\` was not prepared`);
}

/** A default that its own schema refuses makes every call that leaves it out a refused one. */
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
  // What is wrong with a name in a branch may be so because of another name, which a call sends.
  const isItsOwn = ({ instancePath, schemaPath }: ErrorObject): boolean => {
    const [, name = ''] = instancePath.split('/');
    return !hasBranches || schemaPath.startsWith(`#/properties/${encodeURIComponent(name)}/`);
  };
  const misfit = (all.errors ?? []).find((error) => error.instancePath !== '' && isItsOwn(error));
  return misfit === undefined
    ? null
    : `the default of \`${misfit.instancePath}\` does not fit its own schema: it ${messageOf(misfit)}`;
}

/** Work is shared evenly; filling in is paid for by the first. */
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

/** Null: the value fits. */
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
    // Its message may quote the value.
    const what = error instanceof Error ? error.name : 'an error';
    return errorOfWhole(
      `cannot be checked, for the check itself breaks off (${what}): write its schema in another way, and report this`,
    );
  }
}

/** Of the whole value. */
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
