import Ajv2020, { type ErrorObject, type ValidateFunction } from 'ajv/dist/2020.js';
import addFormats from 'ajv-formats';
import { canonical } from '../model/canonical.js';
import type { JsonObject } from '../model/json.js';

export type SchemaCheck =
  | { readonly status: 'valid'; readonly value: JsonObject }
  | {
      readonly status: 'invalid';
      readonly errors: readonly { readonly pointer: string; readonly message: string }[];
    };

export type CompiledSchema =
  | { readonly status: 'ok'; validate(value: JsonObject): SchemaCheck }
  | { readonly status: 'invalid'; readonly message: string };

const cached = 500;
const cache = new Map<string, CompiledSchema>();
/** A plan's schema is one object for as long as the plan is kept: its text need not be made again. */
const known = new WeakMap<JsonObject, CompiledSchema>();
const maxErrors = 20;

/**
 * JSON Schema 2020-12, strict: unknown keywords and formats, references that lead out of the document and other
 * drafts do not compile. Defaults are applied to a copy: the caller's value is never touched, and
 * is itself the answer where the schema has none.
 */
export function compileSchema(schema: JsonObject): CompiledSchema {
  const found = known.get(schema);
  if (found !== undefined) return found;
  const compiled = byText(schema);
  known.set(schema, compiled);
  return compiled;
}

function byText(schema: JsonObject): CompiledSchema {
  const key = keyOf(schema);
  if (key === null) return { status: 'invalid', message: 'a text in it holds a lone surrogate' };
  const found = cache.get(key);
  if (found !== undefined) return found;
  const compiled = compile(schema, key.includes('"default":'));
  if (cache.size >= cached) cache.clear();
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

function compile(schema: JsonObject, defaults: boolean): CompiledSchema {
  try {
    // An instance each: two schemas with one `$id` are not each other's business.
    const ajv = new Ajv2020.default({
      strict: true,
      allErrors: true,
      useDefaults: true,
      ownProperties: true,
      strictRequired: false,
      allowUnionTypes: true,
      logger: false,
    });
    addFormats.default(ajv);
    const check = ajv.compile(schema);
    // ajv's own extension: such a check answers with a promise, and a promise is true whatever it brings.
    if ('$async' in check) return { status: 'invalid', message: '`$async` is no keyword of JSON Schema' };
    // A schema that refers to itself without end is found by its first use.
    check({});
    return { status: 'ok', validate: (value) => validate(check, value, defaults) };
  } catch (error) {
    return {
      status: 'invalid',
      message: error instanceof Error ? plain(error.message) : 'the schema does not compile',
    };
  }
}

/** ajv says `strict mode: unknown keyword: "foo"`; what it says of the root, it says of `data`. */
function plain(message: string): string {
  return message.replace(/^strict mode: /, '').replace(/^schema is invalid: data/, 'the schema');
}

function validate(check: ValidateFunction, given: JsonObject, defaults: boolean): SchemaCheck {
  const value = defaults ? structuredClone(given) : given;
  try {
    if (check(value) === true) return { status: 'valid', value };
  } catch (error) {
    if (!(error instanceof RangeError)) throw error;
    return { status: 'invalid', errors: [{ pointer: '', message: 'is nested too deeply for its schema' }] };
  }
  const errors = (check.errors ?? [])
    .slice(0, maxErrors)
    .map((one) => ({ pointer: pointerOf(one), message: messageOf(one) }));
  return { status: 'invalid', errors };
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
  if (error.keyword === 'enum') return `must be one of ${JSON.stringify(params['allowedValues'])}`;
  return error.message ?? 'does not fit the schema';
}
