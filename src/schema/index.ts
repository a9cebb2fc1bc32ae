import Ajv2020, { type ErrorObject, type Options, type ValidateFunction } from 'ajv/dist/2020.js';
import { canonical } from '../model/canonical.js';
import type { JsonObject } from '../model/json.js';
import { formats } from './formats.js';
import { keywords } from './keywords.js';
import { plain } from './messages.js';
import type { Pattern } from './pattern.js';
import { mostPatternCost, prepare, type Prepared } from './prepare.js';
import { track } from './tracking.js';
import { withWork } from './work.js';

export type SchemaCheck =
  | { readonly status: 'valid'; readonly value: JsonObject }
  | {
      readonly status: 'invalid';
      readonly errors: readonly { readonly pointer: string; readonly message: string }[];
    };

export type CompiledSchema =
  | {
      readonly status: 'ok';
      readonly patternCost: number;
      /** `among`: so many validations share what one may take. */
      validate(value: JsonObject, among?: number): SchemaCheck;
    }
  | { readonly status: 'invalid'; readonly message: string };

const cached = 500;
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
 * bounded, and a validation that takes more work than is allowed ends as invalid. Defaults are applied to a copy: the
 * caller's value is never touched, and is itself the answer where the schema has none.
 */
export function compileSchema(schema: JsonObject): CompiledSchema {
  const found = known.get(schema);
  if (found !== undefined) return found;
  const compiled = byText(schema);
  known.set(schema, compiled);
  return compiled;
}

/** Why two schemas cannot hold for one value: its first check compiles both, and everybody waits. Null: they can. */
export function tooMuchTogether(one: JsonObject, other: JsonObject): string | null {
  const [first, second] = [compileSchema(one), compileSchema(other)];
  if (first.status === 'invalid' || second.status === 'invalid') return null;
  return first.patternCost + second.patternCost <= mostPatternCost
    ? null
    : 'their patterns take too long to compile: bound lengths with `maxLength` instead of counts, or list words with `enum`';
}

function byText(schema: JsonObject): CompiledSchema {
  const key = keyOf(schema);
  if (key === null) return { status: 'invalid', message: 'a text in it holds a lone surrogate' };
  if (key.length > longest)
    return { status: 'invalid', message: `it is longer than ${longest} characters: take less apart` };
  const found = cache.get(key);
  if (found !== undefined) return found;
  const compiled = compile(schema, key.includes('"default":'));
  const [oldest] = cache.keys();
  if (cache.size >= cached && oldest !== undefined) cache.delete(oldest);
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
  useDefaults: true,
  ownProperties: true,
  strictRequired: false,
  allowUnionTypes: true,
  // ajv would try the names on its own engine.
  allowMatchingProperties: true,
  logger: false,
};

let dialect: Ajv2020.default | undefined;

/** Is it a schema at all? One instance for all of them: what it compiles is the dialect. */
function misfitOfDialect(schema: JsonObject): string | null {
  dialect ??= new Ajv2020.default({ ...common, formats });
  const fits = withWork(mostWork, () => dialect?.validateSchema(schema));
  if (fits === null) return 'the schema takes too long to read';
  return fits.value === true ? null : dialect.errorsText(dialect.errors, { dataVar: 'the schema' });
}

function compile(schema: JsonObject, defaults: boolean): CompiledSchema {
  const prepared = prepare(schema);
  if (prepared.status === 'invalid') return prepared;
  try {
    const { $schema: _dialect, ...rest } = schema;
    const misfit = misfitOfDialect(rest);
    if (misfit !== null) return { status: 'invalid', message: `the schema is invalid: ${misfit}` };
    const check = compiled(prepared, false);
    // A schema that refers to itself without end is found by its first use.
    if (withWork(mostWork, () => check({})) === null)
      return { status: 'invalid', message: 'its references multiply without reading the value: say it once' };
    let telling: ValidateFunction | undefined;
    const explain = (): ValidateFunction =>
      (telling ??= prepared.subschemas > mostExplained ? check : compiled(prepared, true));
    const misfitting = defaults ? misfitOfDefaults(explain()) : null;
    if (misfitting !== null) return { status: 'invalid', message: misfitting };
    return {
      status: 'ok',
      patternCost: prepared.patternCost,
      validate: (value, among = 1) => validate({ check, explain, defaults }, value, mostWork / among),
    };
  } catch (error) {
    return {
      status: 'invalid',
      message: error instanceof Error ? plain(error.message) : 'the schema does not compile',
    };
  }
}

/** An instance each: two schemas with one `$id` are not each other's business. */
function compiled(
  { schema, patterns, tracked }: Extract<Prepared, { status: 'prepared' }>,
  allErrors: boolean,
): ValidateFunction {
  const pattern = (text: string): Pattern => patterns.get(text) ?? unknownPattern(text);
  const regExp = Object.assign(pattern, { code: 'pattern' });
  const options = {
    ...common,
    formats,
    allErrors,
    meta: false,
    validateSchema: false,
    code: { regExp, optimize: false },
  };
  const ajv = new Ajv2020.default(options);
  for (const definition of keywords) {
    ajv.removeKeyword(String(definition.keyword));
    ajv.addKeyword(definition);
  }
  track(ajv, tracked);
  return ajv.compile(schema);
}

function unknownPattern(text: string): never {
  throw new Error(`the pattern \`${text}\` was not prepared`);
}

/** What other values decide on. */
const conditional = /^#\/(?:allOf|anyOf|oneOf|not|if|then|else|depend)/;

/** A default that its own schema refuses makes every call that leaves it out a refused one. */
function misfitOfDefaults(all: ValidateFunction): string | null {
  if (withWork(mostWorkOnErrors, () => all({})) === null) return null;
  const misfit = (all.errors ?? []).find(
    ({ instancePath, schemaPath }) => instancePath !== '' && !conditional.test(schemaPath),
  );
  return misfit === undefined
    ? null
    : `the default of \`${misfit.instancePath}\` does not fit its own schema: it ${messageOf(misfit)}`;
}

interface Checks {
  /** Stops at the first error. */
  readonly check: ValidateFunction;
  /** Tells all of them. */
  readonly explain: () => ValidateFunction;
  readonly defaults: boolean;
}

function validate(checks: Checks, given: JsonObject, most: number): SchemaCheck {
  const { check, explain, defaults } = checks;
  try {
    const checked = withWork(most, () => (defaults ? filledIn(check, given) : once(check, given)));
    if (checked === null) return invalid('takes too much work to check: send less, or simplify its schema');
    if (checked.value.status !== 'misfit') return checked.value;
    const { value, errors } = checked.value;
    const all = explain();
    const told = withWork(mostWorkOnErrors, () => all(value));
    return {
      status: 'invalid',
      errors: (told === null ? errors : (all.errors ?? errors)).slice(0, maxErrors).map(found),
    };
  } catch (error) {
    if (error instanceof RangeError) return invalid('is nested too deeply for its schema');
    // Its message may quote the value.
    const what = error instanceof Error ? error.name : 'an error';
    return invalid(
      `cannot be checked, for the check itself breaks off (${what}): write its schema in another way, and report this`,
    );
  }
}

/** `value`: what did not fit, for telling all that is wrong with it. */
type Checked =
  | SchemaCheck
  | { readonly status: 'misfit'; readonly value: JsonObject; readonly errors: readonly ErrorObject[] };

function once(check: ValidateFunction, value: JsonObject): Checked {
  return check(value) ? { status: 'valid', value } : { status: 'misfit', value, errors: check.errors ?? [] };
}

/** How often is followed what is filled in because something else was. */
const mostRounds = 20;

/**
 * ajv looks at `if`, `not`, `anyOf` and their kin before it fills in what they ask about, so the value is checked again until
 * nothing is added: what goes on fits its schema as it stands. The copy is made by way of a text: `structuredClone`, and every
 * copy that is made name by name, takes ten times as long for objects of many names.
 */
function filledIn(check: ValidateFunction, given: JsonObject): Checked {
  let text = JSON.stringify(given);
  const value = JSON.parse(text) as JsonObject;
  for (let round = 0; round < mostRounds; round += 1) {
    if (!check(value))
      return { status: 'misfit', value: JSON.parse(text) as JsonObject, errors: check.errors ?? [] };
    const filled = JSON.stringify(value);
    if (filled === text) return { status: 'valid', value };
    text = filled;
  }
  return invalid('makes its schema fill in more and more: take a `default` out of it');
}

function invalid(message: string): SchemaCheck {
  return { status: 'invalid', errors: [{ pointer: '', message }] };
}

function found(error: ErrorObject): { readonly pointer: string; readonly message: string } {
  return { pointer: pointerOf(error), message: messageOf(error) };
}

function pointerOf(error: ErrorObject): string {
  const params = error.params as Record<string, unknown>;
  const name = params['missingProperty'] ?? params['additionalProperty'] ?? params['unevaluatedProperty'];
  return typeof name === 'string'
    ? `${error.instancePath}/${name.replaceAll('~', '~0').replaceAll('/', '~1')}`
    : error.instancePath;
}

function messageOf(error: ErrorObject): string {
  const params = error.params as Record<string, unknown>;
  if (error.keyword === 'required') return 'is required';
  if (error.keyword === 'additionalProperties') return 'is not declared by the schema';
  if (error.keyword === 'enum') return `must be one of ${listed(params['allowedValues'])}`;
  return error.message ?? 'does not fit the schema';
}

function listed(values: unknown): string {
  const text = JSON.stringify(values);
  return text.length > 500 ? `${text.slice(0, 497).toWellFormed()}...` : text;
}
