import { overrideOf } from '../../engine/effects/effects.js';
import type { Executor, Reliability, Tier } from '../../engine/plan.js';
import { error, warn, type Compiling, type Path } from '../compile/context.js';

// `read_only` passes gates, floors and shadow mode, so it has to be so. What a server says of its own tools, such as MCP's
// `readOnlyHint`, is its word and nobody's proof: only the author's counts.

export interface Reading {
  readonly tier: Tier | null;
  readonly executor: Executor | null;
  readonly reliability: Pick<Reliability, 'fallback'>;
  /** Why a call whose kind does not show it changes nothing, as its author says. */
  readonly because: string | undefined;
}

/** What such a call is named in a message; null: it is no call that could be either. */
function undecidedKind(executor: Executor | null): string | null {
  if (executor?.kind === 'mcp') return 'an MCP tool';
  if (executor?.kind === 'cli') return 'a command';
  return executor?.kind === 'rest' && executor.method === 'POST' ? '`POST`' : null;
}

/** A method that changes what it names is no read. What may be one needs its author's reason, for approvers to see. */
export function checkReadOnly(
  to: Compiling,
  { tier, executor, reliability, because }: Reading,
  path: Path,
): void {
  const executors = [executor, ...reliability.fallback];
  const methods = executors.flatMap((one) => (one?.kind === 'rest' ? [one.method] : []));
  const undecided = executors.map(undecidedKind).find((one) => one !== null);
  if (because !== undefined && (tier !== 'read_only' || undecided === undefined))
    error(
      to,
      'WRONG_VALUE',
      [...path, 'readOnlyBecause'],
      '`readOnlyBecause` says why a POST, an MCP tool or a command of `tier: read_only` changes nothing, and here is none: remove it',
      'key',
    );
  if (tier !== 'read_only') return;
  const at = [...path, 'tier'];
  const overriding = executors
    .flatMap((one) => (one?.kind === 'rest' ? [overrideOf(one)] : []))
    .find((one) => one !== null);
  if (overriding !== undefined)
    return error(
      to,
      'READ_ONLY_WRITES',
      at,
      `\`${overriding}\` may make the call another method than the one that is looked at: leave it out, or write that as its \`method\` and with the tier that it has`,
    );
  const changing = methods.find((one) => one === 'PUT' || one === 'PATCH' || one === 'DELETE');
  if (changing !== undefined)
    error(
      to,
      'READ_ONLY_WRITES',
      at,
      `\`${changing}\` is no read: the tier is \`reversible\` or \`irreversible\``,
    );
  else if (undecided === undefined || because !== undefined) return;
  else if (methods.includes('POST'))
    error(to, 'READ_ONLY_WRITES', at, `\`POST\` may change something: ${sayWhy}`);
  else
    warn(
      to,
      'READ_ONLY_UNEXPLAINED',
      at,
      `${undecided} may change something, and as a read it passes gates, floors and shadow mode: ${sayWhy}`,
      'value',
    );
}

const sayWhy =
  'if it does not, say why with `readOnlyBecause`, else the tier is `reversible` or `irreversible`';
