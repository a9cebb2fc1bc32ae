import { sameJson } from '../../model/values/canonical.js';
import { jsonTrouble, type Json } from '../../model/values/json.js';
import { unmetered, type Meter } from './meter.js';
import type { Operator } from '../plan.js';
import { includesText, searchUnits } from './search.js';

type Compared = { readonly verdict: 'pass' | 'fail' | 'error'; readonly reason: string };

/** Compares two values (docs/spec/semantics.md §3). `undefined` is a path that does not resolve: null for `==` and `!=`, else an error. */
export function compare(
  left: Json | undefined,
  operator: Operator,
  right: Json | undefined,
  meter = unmetered,
): Compared {
  switch (operator) {
    case '==':
      return compareEqual(left ?? null, right ?? null, true, meter);
    case '!=':
      return compareEqual(left ?? null, right ?? null, false, meter);
    case '<':
    case '<=':
    case '>':
    case '>=':
      return compareOrder(left, operator, right);
    case 'starts_with':
      if (typeof left !== 'string' || typeof right !== 'string')
        return operandError(operator, 'two strings', left, right);
      meter.take(comparedUnits(right));
      return toCompared(left.startsWith(right));
    case 'contains':
      return contains(left, right, meter);
    default:
      return { verdict: 'error', reason: `unknown operator \`${String(operator)}\`` };
  }
}

function typeName(value: Json | undefined): string {
  if (value === undefined) return 'missing';
  if (value === null) return 'null';
  return Array.isArray(value) ? 'array' : typeof value;
}

const holding: Compared = { verdict: 'pass', reason: '' };
const failing: Compared = { verdict: 'fail', reason: '' };

function toCompared(holds: boolean): Compared {
  return holds ? holding : failing;
}

function operandError(
  operator: string,
  wants: string,
  left: Json | undefined,
  right: Json | undefined,
): Compared {
  return {
    verdict: 'error',
    reason: `\`${operator}\` takes ${wants}, not ${typeName(left)} and ${typeName(right)}`,
  };
}

function compareEqual(left: Json, right: Json, wanted: boolean, meter: Meter): Compared {
  if (left !== null && right !== null && typeName(left) !== typeName(right)) {
    return operandError(wanted ? '==' : '!=', 'two values of one type', left, right);
  }
  if (typeof left !== 'object' || typeof right !== 'object' || left === null || right === null) {
    meter.take(comparedUnits(left));
    return toCompared((left === right) === wanted);
  }
  const trouble = troubleOf(left) ?? troubleOf(right);
  if (trouble !== null) return { verdict: 'error', reason: `a value cannot be compared: ${trouble}` };
  const same = sameJson(left, right, (part, isNamed) =>
    meter.take(comparedUnits(part) + (isNamed ? unitsPerName : 0)),
  );
  return toCompared(same === wanted);
}

/** Finding a name of one object in another takes longer than going on to the next item of a list. */
const unitsPerName = 96;

/** The units of comparing one value with another, without what it holds. */
function comparedUnits(value: unknown): number {
  return 32 + (typeof value === 'string' ? Math.ceil(value.length / 16) : 0);
}

/** Values that can be compared. Values never change, so they always can. */
const comparable = new WeakSet<object>();

function troubleOf(value: object): string | null {
  if (comparable.has(value)) return null;
  const trouble = jsonTrouble(value);
  if (trouble === null) comparable.add(value);
  return trouble;
}

function compareOrder(
  left: Json | undefined,
  operator: '<' | '<=' | '>' | '>=',
  right: Json | undefined,
): Compared {
  if (typeof left !== 'number' || typeof right !== 'number')
    return operandError(operator, 'two numbers', left, right);
  if (operator === '<') return toCompared(left < right);
  if (operator === '<=') return toCompared(left <= right);
  if (operator === '>') return toCompared(left > right);
  return toCompared(left >= right);
}

function contains(left: Json | undefined, right: Json | undefined, meter: Meter): Compared {
  if (typeof left === 'string' && typeof right === 'string') {
    meter.take(searchUnits(left, right));
    return toCompared(includesText(left, right));
  }
  const scalar = typeof right === 'string' || typeof right === 'number' || typeof right === 'boolean';
  if (Array.isArray(left) && scalar) return lookThrough(left as readonly Json[], right, meter);
  return operandError('contains', 'a string in a string or a scalar in an array', left, right);
}

/** Charges for the items up to the one that is found; looking for a text, for their bytes as well, since texts of the same length are compared. */
function lookThrough(items: readonly Json[], wanted: Json, meter: Meter): Compared {
  const at = items.indexOf(wanted);
  const looked = at === -1 ? items.length : at + 1;
  const bytes = typeof wanted === 'string' ? meter.bytesOf(items) / 4 : 0;
  meter.take(looked + Math.ceil((bytes * looked) / Math.max(1, items.length)));
  return toCompared(at !== -1);
}
