import { _, str, type FuncKeywordDefinition } from 'ajv';
import type { DataValidateFunction } from 'ajv/dist/types/index.js';
import { isObject, type Json, type JsonObject } from '../../model/values/json.js';
import { isMultiple } from '../decimal.js';
import { spend } from '../work.js';

// Keywords that replace those of ajv, whose time or code is not linear or whose answer is wrong for decimal numbers; and a keyword of
// our own that counts the work of a subschema.

/** The keyword is put into every subschema while it is compiled, and says what its other keywords cost. */
export const workKeyword = 'x-work';

export interface WorkOf {
  /** For every value. */
  readonly units: number;
  /** For each name of an object, where keywords go through them. */
  readonly perName: number;
  /** For each item of a list, likewise. */
  readonly perItem: number;
  /** Charge for the characters of a text, since its length is asked. */
  readonly length: boolean;
}

export const keywords: readonly FuncKeywordDefinition[] = [
  {
    keyword: workKeyword,
    schemaType: 'object',
    before: '$ref',
    errors: false,
    compile: (work: WorkOf) => (value: Json) => {
      spend(work.units + unitsFor(work, value));
      return true;
    },
  },
  {
    keyword: 'multipleOf',
    type: 'number',
    schemaType: 'number',
    error: { message: ({ schemaCode }) => str`must be a multiple of ${schemaCode}` },
    compile: (of: number) => (value: number) => {
      // Numbers that are far apart are compared with hundreds of digits.
      spend(20 + Math.abs(Math.log10(Math.abs(value) || 1) - Math.log10(of)) / 2);
      return isMultiple(value, of);
    },
  },
  {
    keyword: 'uniqueItems',
    type: 'array',
    schemaType: 'boolean',
    error: { message: 'must NOT have duplicate items' },
    compile: (unique: boolean) => (items: readonly Json[]) => !unique || areUnique(items),
  },
  {
    keyword: 'enum',
    schemaType: 'array',
    error: {
      message: 'must be equal to one of the allowed values',
      params: ({ schemaCode }) => _`{allowedValues: ${schemaCode}}`,
    },
    compile: isAmong,
  },
  {
    keyword: 'dependentRequired',
    type: 'object',
    schemaType: 'object',
    compile: (lists: Lists, _parent, { allErrors = false }) => requireBeside(lists, allErrors),
  },
];

function unitsFor({ perName, perItem, length }: WorkOf, value: Json): number {
  if (typeof value === 'string') return length ? value.length / 5 : 0;
  if (Array.isArray(value)) return perItem * value.length;
  return perName > 0 && isObject(value) ? perName * Object.keys(value).length : 0;
}

type Lists = Readonly<Record<string, readonly string[]>>;

/** ajv would make code for each name, and each piece of it would hold all the names of its list. */
function requireBeside(lists: Lists, allErrors: boolean): DataValidateFunction {
  const check: DataValidateFunction = (value: JsonObject) => {
    const missing = Object.entries(lists).flatMap(([property, names]) =>
      Object.hasOwn(value, property)
        ? names.flatMap((name) => (Object.hasOwn(value, name) ? [] : [[property, name] as const]))
        : [],
    );
    check.errors = missing.slice(0, allErrors ? missing.length : 1).map(([property, missingProperty]) => ({
      keyword: 'dependentRequired',
      message: `must have property ${missingProperty} when property ${property} is present`,
      params: { property, missingProperty },
    }));
    return missing.length === 0;
  };
  return check;
}

function isAmong(values: readonly Json[]): (value: Json) => boolean {
  const scalars = new Set(values.filter((value) => typeof value !== 'object' || value === null));
  const others = values.filter((value) => typeof value === 'object' && value !== null);
  const sizes = new Set(others.map(sizeOf));
  const texts = new Set(others.map(identity));
  return (value) => {
    if (typeof value !== 'object' || value === null) return scalars.has(value);
    if (others.length === 0) return false;
    const size = sizeOf(value);
    spend(1 + size / 4);
    if (!sizes.has(size)) return false;
    const text = identity(value);
    spend(text.length * perCharacter);
    return texts.has(text);
  };
}

/** Units for making the text that stands for a value (`identity`), for each character. */
const perCharacter = 3;

function sizeOf(value: Json): number {
  return Array.isArray(value) ? value.length : Object.keys(value ?? {}).length;
}

function areUnique(items: readonly Json[]): boolean {
  const seen = new Set<string>();
  for (const item of items) {
    const text = identity(item);
    spend(1 + text.length * perCharacter);
    if (seen.has(text)) return false;
    seen.add(text);
  }
  return true;
}

/** The same text for equal values, whatever the order of their names. */
function identity(value: Json): string {
  if (Array.isArray(value)) return `[${value.map(identity).join(',')}]`;
  if (!isObject(value)) return JSON.stringify(value);
  const names = Object.keys(value).sort();
  return `{${names.map((name) => `${JSON.stringify(name)}:${identity(value[name] ?? null)}`).join(',')}}`;
}

export function countValues(value: Json): number {
  if (Array.isArray(value)) return value.reduce<number>((sum, item) => sum + countValues(item), 1);
  if (!isObject(value)) return 1;
  return Object.values(value).reduce<number>((sum, item) => sum + countValues(item), 1);
}
