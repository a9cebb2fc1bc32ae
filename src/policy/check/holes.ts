import { isObject, type Json } from '../../model/json.js';
import { truncate } from '../../model/text.js';
import { error, type Compiling, type Path } from '../compile/context.js';
import { isCredential } from './credentials.js';

// A hole (`{$.arguments.name}`) is filled in a `summary`, a `consequence` and the `path` of a rest call, and nowhere else. A
// path is read where it is a whole value of a template. Anything else would be sent, shown or compared as it is written.

const hole = /\{\s*\$\.|\$\.(?:arguments|context|workflow|output|response)(?![A-Za-z0-9_-])/i;
const pathIn = /\$\.[\w.[\]-]*/;

/** `path`: a text that is a path as a whole is read here. */
export type Filled = 'path' | 'nothing';

/** What an author meant to be filled and never is, said without a credential; null: nothing in this text. */
export function holeTrouble(text: string, filled: Filled): string | null {
  const found = hole.exec(text);
  if (found === null) return null;
  const isSecret = isCredential(text);
  const [path] = (isSecret ? null : pathIn.exec(text.slice(found.index))) ?? ['$.arguments.name'];
  const shown = isSecret ? 'this text' : `\`${truncate(text, 120)}\``;
  const way =
    filled === 'path' ? `a value stands for itself: write \`${path}\` and nothing else` : 'write what it is';
  return `${shown} would be taken as it is written: nothing is filled in here, ${way}`;
}

/** The same for all texts of a value, names of objects included. */
export function refuseHoles(to: Compiling, value: Json, path: Path, filled: Filled): void {
  if (typeof value === 'string') {
    const trouble = holeTrouble(value, filled);
    if (trouble !== null) error(to, 'PATH_INVALID', path, trouble);
  } else if (Array.isArray(value)) {
    for (const [index, one] of (value as readonly Json[]).entries())
      refuseHoles(to, one, [...path, index], filled);
  } else if (isObject(value))
    for (const [name, one] of Object.entries(value)) {
      refuseHolesInName(to, name, [...path, name]);
      refuseHoles(to, one, [...path, name], filled);
    }
}

export function refuseHolesInName(to: Compiling, name: string, path: Path): void {
  const trouble = holeTrouble(name, 'nothing');
  if (trouble !== null) error(to, 'PATH_INVALID', path, trouble, 'key');
}
