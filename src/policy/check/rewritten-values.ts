import { isObject, type Json } from '../../model/values/json.js';
import { error, warn, type Compiling, type Path } from '../compile/context.js';

// YAML and JSON read `3.10`, `1e3` and `0x1F` as numbers, which are handed on as `3.1`, `1000` and `31`. Whoever wrote a release,
// a telephone number or a year with a month meant the text. The same is true of `True`, which would be sent as `true`, and of
// `~`, which is null and would not be sent at all.

/** For a literal that a call sends as text: refused where another text would be sent than its author wrote. */
export function refuseSentRewritten(to: Compiling, value: Json, path: Path): void {
  if (value === null) return refuseNull(to, path);
  refuseRewritten(to, value, path, 'sent');
}

/** The same for a literal that is joined into a text. */
export function refuseJoinedRewritten(to: Compiling, value: Json, path: Path): void {
  refuseRewritten(to, value, path, 'joined');
}

function refuseRewritten(to: Compiling, value: Json, path: Path, how: 'sent' | 'joined'): void {
  const written = isScalar(value) ? to.source.written(path) : null;
  if (written === null) return;
  const what = typeof value === 'number' ? 'the number ' : '';
  const message = `${what}\`${written}\` would be ${how} as \`${String(value)}\`: write it as text, \`"${written}"\``;
  reportRewritten(to, path, message);
}

/** A warning in a flow that was published before, perhaps before this was an error; else an error. */
function reportRewritten(to: Compiling, path: Path, message: string): void {
  if (to.isPublished === true) warn(to, 'NUMBER_REWRITTEN', path, message, 'value');
  else error(to, 'WRONG_VALUE', path, message);
}

function isScalar(value: Json): value is number | boolean | null {
  return typeof value === 'number' || typeof value === 'boolean' || value === null;
}

/** A null would always be left out of the call, as a missing value is. */
function refuseNull(to: Compiling, path: Path): void {
  const written = to.source.written(path) ?? 'null';
  const message =
    written === ''
      ? 'nothing is written here, and it would be left out: give it a value, or remove it'
      : `\`${written}\` is no text, and would be left out: write it as text, \`"${written}"\`, or remove it`;
  reportRewritten(to, path, message);
}

/** For JSON in a call or a context: the number stays the same, but not the way it is written. */
export function warnRewritten(to: Compiling, value: Json, path: Path): void {
  if (typeof value === 'number') {
    const written = to.source.written(path);
    if (written === null) return;
    const message = `the number \`${written}\` is handed on as \`${value}\`: write that, or the text \`"${written}"\``;
    return warn(to, 'NUMBER_REWRITTEN', path, message, 'value');
  }
  if (Array.isArray(value))
    for (const [index, item] of (value as readonly Json[]).entries())
      warnRewritten(to, item, [...path, index]);
  else if (isObject(value))
    for (const [name, item] of Object.entries(value)) warnRewritten(to, item, [...path, name]);
}
