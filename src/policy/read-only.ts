import type { Executor, Reliability, Tier } from '../engine/plan.js';
import { error, type Compiling, type Path } from './context.js';

// `read_only` passes gates, floors and shadow mode, so it has to be so.

export interface Reading {
  readonly tier: Tier | null;
  readonly executor: Executor | null;
  readonly reliability: Pick<Reliability, 'fallback'>;
  /** Why a POST changes nothing, as its author says. */
  readonly because: string | undefined;
}

/** A method that changes what it names is no read. POST may be one, where the author says why, for approvers to see. */
export function checkReadOnly(
  to: Compiling,
  { tier, executor, reliability, because }: Reading,
  path: Path,
): void {
  const methods = [executor, ...reliability.fallback].flatMap((one) =>
    one?.kind === 'rest' ? [one.method] : [],
  );
  if (because !== undefined && (tier !== 'read_only' || !methods.includes('POST')))
    error(
      to,
      'WRONG_VALUE',
      [...path, 'readOnlyBecause'],
      '`readOnlyBecause` says why a POST of `tier: read_only` changes nothing, and here is none: remove it',
      'key',
    );
  if (tier !== 'read_only') return;
  const changing = methods.find((one) => one === 'PUT' || one === 'PATCH' || one === 'DELETE');
  if (changing !== undefined)
    error(
      to,
      'READ_ONLY_WRITES',
      [...path, 'tier'],
      `\`${changing}\` is no read: the tier is \`reversible\` or \`irreversible\``,
    );
  else if (methods.includes('POST') && because === undefined)
    error(
      to,
      'READ_ONLY_WRITES',
      [...path, 'tier'],
      '`POST` may change something: if it does not, say why with `readOnlyBecause`, else the tier is `reversible` or `irreversible`',
    );
}
