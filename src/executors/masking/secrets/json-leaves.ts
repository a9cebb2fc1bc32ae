import { behindString } from '../../../model/values/json.js';

/** A value and its name. The values of a list have the name of the list. */
export interface Leaf {
  readonly name: string;
  readonly value: string;
}

export function isJson(text: string): boolean {
  try {
    JSON.parse(text);
    return true;
  } catch {
    return false;
  }
}

/**
 * Each text and each number in the JSON, as it is written, however deep. A name may come twice in an object: targets take either
 * value, so all values count.
 */
export function leavesOf(json: string): Leaf[] {
  const leaves: Leaf[] = [];
  const outer: string[] = [];
  let name = '';
  for (let at = 0; at < json.length;) {
    const unit = json.charAt(at);
    const end = unit === '"' ? behindString(json, at) : behindNumber(json, at);
    const written = json.slice(at, end);
    if (unit === '"') {
      const value = JSON.parse(written) as string;
      if (isName(json, end)) name = value;
      else leaves.push({ name, value });
    } else if (unit === '{' || unit === '[') outer.push(name);
    else if (unit === '}' || unit === ']') name = outer.pop() ?? '';
    else if (end > at) leaves.push({ name, value: written });
    at = Math.max(at + 1, end);
  }
  return leaves;
}

const number = /-?\d[\d.eE+-]*/y;
const colon = /\s*:/y;

/** The index behind the number that begins at `start`; `start` itself where none begins. */
function behindNumber(json: string, start: number): number {
  number.lastIndex = start;
  return number.test(json) ? number.lastIndex : start;
}

function isName(json: string, end: number): boolean {
  colon.lastIndex = end;
  return colon.test(json);
}
