import { isObject, type Json } from '../../model/json.js';
import { error, warn, type Compiling, type Path } from '../compile/context.js';

// YAML and JSON read `3.10`, `1e3` and `0x1F` as numbers, and a number is handed on as `3.1`, `1000` and `31`. Whoever wrote a
// release, a telephone number or a year with a month meant the text. So it is with `True`, which would be sent as `true`, and
// with `~`, which is null and would not be sent at all.

/** A literal that a call sends as text: what would be another text than its author wrote is refused. */
export function refuseSentRewritten(to: Compiling, value: Json, path: Path): void {
  if (value === null) return refuseNull(to, path);
  refuseRewritten(to, value, path, 'sent');
}

/** A literal that becomes a part of a text. */
export function refuseJoinedRewritten(to: Compiling, value: Json, path: Path): void {
  refuseRewritten(to, value, path, 'joined');
}

function refuseRewritten(to: Compiling, value: Json, path: Path, how: 'sent' | 'joined'): void {
  const written = isScalar(value) ? to.source.written(path) : null;
  if (written === null) return;
  const what = typeof value === 'number' ? 'the number ' : '';
  const message = `${what}\`${written}\` would be ${how} as \`${String(value)}\`: write it as text, \`"${written}"\``;
  tell(to, path, message);
}

/** A flow that was published before this was an error goes on as it did, and says so. */
function tell(to: Compiling, path: Path, message: string): void {
  if (to.rewritten === 'warned') warn(to, 'NUMBER_REWRITTEN', path, message, 'value');
  else error(to, 'WRONG_VALUE', path, message);
}

function isScalar(value: Json): value is number | boolean | null {
  return typeof value === 'number' || typeof value === 'boolean' || value === null;
}

/** A value that is missing is left out of a call, and null always would be. */
function refuseNull(to: Compiling, path: Path): void {
  const written = to.source.written(path) ?? 'null';
  const message =
    written === ''
      ? 'nothing is written here, and it would be left out: give it a value, or remove it'
      : `\`${written}\` is no text, and would be left out: write it as text, \`"${written}"\`, or remove it`;
  tell(to, path, message);
}

/** Where a call or a context takes JSON: the number is the same there, and its writing is not. */
export function warnRewritten(to: Compiling, value: Json, path: Path): void {
  if (typeof value === 'number') {
    const written = to.source.written(path);
    if (written === null) return;
    const message = `the number \`${written}\` is handed on as \`${value}\`: write that, or the text \`"${written}"\``;
    return warn(to, 'NUMBER_REWRITTEN', path, message, 'value');
  }
  if (Array.isArray(value))
    for (const [index, one] of (value as readonly Json[]).entries()) warnRewritten(to, one, [...path, index]);
  else if (isObject(value))
    for (const [name, one] of Object.entries(value)) warnRewritten(to, one, [...path, name]);
}
