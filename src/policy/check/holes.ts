import { isObject, type Json } from '../../model/values/json.js';
import { truncate } from '../../model/values/text.js';
import { error, type Compiling, type Path } from '../compile/context.js';
import { isCredential } from './credentials.js';
import { warnOfOtherNotation } from './other-notations.js';

// A hole (`{$.arguments.name}`) is filled only in a `summary`, a `consequence` and the `path` of a rest call. A path is read only
// where it is a whole value of a template. Anywhere else, both would be sent, shown or compared as they are written.

const hole = /\{\s*\$\.|\$\.(?:arguments|context|workflow|output|response)(?![A-Za-z0-9_-])/i;
const pathIn = /\$\.[\w.[\]-]*/;

/** What is filled in at a place: `path`: a text that is a path as a whole; `nothing`: not even that. */
export type Filled = 'path' | 'nothing';

/** A sentence about a hole or path in the text that would not be filled; null: there is none. It tells no credential. */
export function holeTrouble(text: string, filled: Filled): string | null {
  const found = hole.exec(text);
  if (found === null) return null;
  const isSecret = isCredential(text);
  const [path] = (isSecret ? null : pathIn.exec(text.slice(found.index))) ?? ['$.arguments.name'];
  const what = isSecret ? 'this text' : `\`${truncate(text, 120)}\``;
  const way =
    filled === 'path'
      ? `nothing is filled in here but a text that is a path as a whole: write \`${path}\` and nothing else`
      : 'nothing is filled in here: write the text itself';
  return `${what} would be taken as it is written, since ${way}`;
}

/** Reports such holes, and warns of templates of other notations, in all texts of a value, names of objects included. */
export function refuseHoles(to: Compiling, value: Json, path: Path, filled: Filled): void {
  if (typeof value === 'string') {
    const trouble = holeTrouble(value, filled);
    if (trouble !== null) error(to, 'PATH_INVALID', path, trouble);
    else warnOfOtherNotation(to, value, path, filled);
  } else if (Array.isArray(value)) {
    for (const [index, item] of (value as readonly Json[]).entries())
      refuseHoles(to, item, [...path, index], filled);
  } else if (isObject(value))
    for (const [name, item] of Object.entries(value)) {
      refuseHolesInName(to, name, [...path, name]);
      refuseHoles(to, item, [...path, name], filled);
    }
}

export function refuseHolesInName(to: Compiling, name: string, path: Path): void {
  const trouble = holeTrouble(name, 'nothing');
  if (trouble !== null) error(to, 'PATH_INVALID', path, trouble, 'key');
  else warnOfOtherNotation(to, name, path, 'nothing', 'key');
}
