import { isCall, type Executor, type Reliability, type Tier } from '../../engine/plan.js';
import { kindNamed, kinds } from '../../executors/kinds.js';
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

/** A method that changes what it names is no read. What may be one needs its author's reason, for approvers to see. */
export function checkReadOnly(
  to: Compiling,
  { tier, executor, reliability, because }: Reading,
  path: Path,
): void {
  const executors = [executor, ...reliability.fallback].filter((one) => one !== null);
  const readings = executors.flatMap((one) => (isCall(one) ? [kindNamed(one.kind).reading(one)] : []));
  const unproven = readings.flatMap((one) => one.unproven ?? []);
  const doubted = unproven.find((one) => one.isRefused) ?? unproven[0];
  if (because !== undefined && (tier !== 'read_only' || doubted === undefined))
    error(
      to,
      'WRONG_VALUE',
      [...path, 'readOnlyBecause'],
      `\`readOnlyBecause\` says why ${byWord} of \`tier: read_only\` changes nothing, and here is none: remove it`,
      'key',
    );
  if (tier !== 'read_only') return;
  const at = [...path, 'tier'];
  const writes = readings.find((one) => one.writes !== null)?.writes ?? null;
  if (writes !== null) return error(to, 'READ_ONLY_WRITES', at, writes);
  if (doubted === undefined || because !== undefined) return;
  if (doubted.isRefused)
    return error(to, 'READ_ONLY_WRITES', at, `${doubted.what} may change something: ${sayWhy}`);
  warn(
    to,
    'READ_ONLY_UNEXPLAINED',
    at,
    `${doubted.what} may change something, and as a read it passes gates, floors and shadow mode: ${sayWhy}`,
    'value',
  );
}

/** `a POST, an MCP tool or a command`. */
const byWord = kinds
  .flatMap((one) => one.readByWord ?? [])
  .join(', ')
  .replace(/, ([^,]*)$/, ' or $1');

const sayWhy =
  'if it does not, say why with `readOnlyBecause`, else the tier is `reversible` or `irreversible`';
