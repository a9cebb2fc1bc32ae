import { isCall, type Executor, type Reliability, type Tier } from '../../engine/plan.js';
import { requireKind, kinds } from '../../executors/find-kind.js';
import { error, warn, type Compiling, type Path } from '../compile/context.js';

// A `read_only` effect passes gates, floors and shadow mode, so it must change nothing. What a server says of its own tools, such
// as MCP's `readOnlyHint`, proves nothing: only the author's word counts.

export interface ReadOnlyClaim {
  readonly tier: Tier | null;
  readonly executor: Executor | null;
  readonly reliability: Pick<Reliability, 'fallback'>;
  /** The author's reason why the call changes nothing, where its kind does not show it. */
  readonly because: string | undefined;
}

/**
 * Refuses `read_only` on a call that certainly writes. A call that may write needs its author's reason (`readOnlyBecause`), which
 * approvers see; without it, it is refused or warned of, as its kind says.
 */
export function checkReadOnly(
  to: Compiling,
  { tier, executor, reliability, because }: ReadOnlyClaim,
  path: Path,
): void {
  const executors = [executor, ...reliability.fallback].filter((tried) => tried !== null);
  const readings = executors.flatMap((tried) =>
    isCall(tried) ? [requireKind(tried.kind).reading(tried)] : [],
  );
  const unproven = readings.flatMap((reading) => reading.unproven ?? []);
  const doubted = unproven.find((doubt) => doubt.isRefused) ?? unproven[0];
  if (because !== undefined && (tier !== 'read_only' || doubted === undefined))
    error(
      to,
      'WRONG_VALUE',
      [...path, 'readOnlyBecause'],
      `\`readOnlyBecause\` says why ${callsReadByWord} of \`tier: read_only\` changes nothing, and here is none: remove it`,
      'key',
    );
  if (tier !== 'read_only') return;
  const at = [...path, 'tier'];
  const writes = readings.find((reading) => reading.writes !== null)?.writes ?? null;
  if (writes !== null) return error(to, 'READ_ONLY_WRITES', at, writes);
  if (doubted === undefined || because !== undefined) return;
  if (doubted.isRefused)
    return error(to, 'READ_ONLY_WRITES', at, `${doubted.what} may change something: ${remedy}`);
  warn(
    to,
    'READ_ONLY_UNEXPLAINED',
    at,
    `${doubted.what} may change something, and as a read it passes gates, floors and shadow mode: ${remedy}`,
    'value',
  );
}

/** For a sentence: `a POST, an MCP tool or a command`. */
const callsReadByWord = kinds
  .flatMap((kind) => kind.readByWord ?? [])
  .join(', ')
  .replace(/, ([^,]*)$/, ' or $1');

const remedy =
  'if it does not, say why with `readOnlyBecause`, else the tier is `reversible` or `irreversible`';
