import type { Template } from '../../engine/plan.js';
import { mostArgumentsBytes, passedBytes, argumentTrouble } from '../../model/command-line.js';
import { breakTrouble } from '../../model/values/text.js';
import { error, errorUnlessPublished, type Compiling, type Path } from '../../policy/compile/context.js';
import { compileSentValue } from '../../policy/compile/values.js';
import type { CliShape } from './kind.js';
import type { CliExecutor } from './types.js';

export function compileCli(
  to: Compiling,
  { args: written = [], stdin, allowDashes }: CliShape,
  path: Path,
): Pick<CliExecutor, 'args' | 'stdin' | 'allowDashes'> {
  const args = written.map((arg, index) => compileSentValue(to, arg, [...path, 'args', index], String));
  checkPassed(to, args, [...path, 'args']);
  return {
    args,
    stdin: stdin === undefined ? null : compileSentValue(to, stdin, [...path, 'stdin']),
    ...(allowDashes === true ? { allowDashes: true } : {}),
  };
}

/** Reports literal arguments that no system would pass to a command. */
function checkPassed(to: Compiling, args: readonly Template[], path: Path): void {
  const written = args.map((template) => (template.kind === 'literal' ? String(template.value) : ''));
  for (const [index, text] of written.entries()) {
    const [trouble, broken] = [argumentTrouble(text), breakTrouble(text)];
    if (trouble !== null) error(to, 'WRONG_VALUE', [...path, index], `the argument ${trouble}`);
    else if (broken !== null)
      errorUnlessPublished(to, 'WRONG_VALUE', [...path, index], `the argument ${broken}`);
  }
  const bytes = passedBytes(written);
  if (bytes > mostArgumentsBytes)
    error(
      to,
      'WRONG_VALUE',
      path,
      `the arguments take ${bytes} bytes together, and ${mostArgumentsBytes} are the most`,
      'key',
    );
}
