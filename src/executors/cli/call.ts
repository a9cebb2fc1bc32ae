import type { Room } from '../../engine/effects/room.js';
import { mostArgumentsBytes, passedBytes, argumentTrouble } from '../../model/command-line.js';
import type { Built, Scopes, Unresolved } from '../types.js';
import type { CliCall, CliExecutor } from './types.js';
import { pathText, resolveTextValue, unusable } from '../values.js';

// A cli executor's templates become the arguments of one command. The connection is not known here.

export function buildCliCall(executor: CliExecutor, scopes: Scopes, room: Room): Built<CliCall> {
  const args: string[] = [];
  let optionsEnded = executor.allowDashes === true;
  for (const [index, template] of executor.args.entries()) {
    const where = `argument ${index}`;
    const text = resolveTextValue(template, scopes, room, where);
    if (text.status === 'absent') continue;
    if (text.status !== 'text') return text;
    // The author may write an option as a literal; a caller's value must not become one.
    const isLiteral = template.kind === 'literal';
    if (!isLiteral && !optionsEnded && text.value.startsWith('-')) {
      const why =
        'begins with `-` and would be read as an option; write `--` before it, or `allowDashes: true`';
      return unusable(pathText(template), where, why);
    }
    const trouble = argumentTrouble(text.value);
    if (trouble !== null)
      return { status: 'too_large', message: `\`${pathText(template)}\` in ${where} ${trouble}; ${less}` };
    optionsEnded ||= isLiteral && text.value === '--';
    args.push(text.value);
  }
  const bytes = passedBytes(args);
  if (bytes > mostArgumentsBytes) return tooMuch(bytes);
  const stdin = executor.stdin === null ? null : resolveTextValue(executor.stdin, scopes, room, 'stdin');
  if (stdin?.status === 'unresolved' || stdin?.status === 'too_large') return stdin;
  const given = stdin?.status === 'text' ? stdin.value : null;
  return { status: 'built', call: { kind: 'cli', connection: executor.connection, args, stdin: given } };
}

const less = 'send less, or have the tool hand it over as `stdin`';

/** Each argument alone may be passed, but all of them together are too long. */
function tooMuch(bytes: number): Unresolved {
  const most = `the arguments of the command take ${bytes} bytes together, and ${mostArgumentsBytes} are the most`;
  return { status: 'too_large', message: `${most}; ${less}` };
}
