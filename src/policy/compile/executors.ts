import { hasEffect, isRepeatable } from '../../executors/effects.js';
import { kindNamed } from '../../executors/kinds.js';
import {
  defaultReliability,
  isCall,
  type CallExecutor,
  type Executor,
  type FixedExecutor,
  type Reliability,
  type Tier,
} from '../../engine/plan.js';
import { assertOneTimeout, error, warn, type Compiling, type Path } from './context.js';
import { assertQueue } from './gates.js';
import { warnUnknownRoles } from '../check/roles.js';
import { isHumanShape, type ExecutorShape, type ReliabilityShape } from '../shape/shapes.js';
import { nearest } from '../text/problems.js';

// What performs an effect, and how often it is tried.

/** `reliability` and `idempotencyKey` may stand inside the executor or beside it, never in both places. */
export interface Beside {
  readonly reliability?: ReliabilityShape | undefined;
  readonly idempotencyKey?: boolean | undefined;
  readonly evidence?: string | undefined;
}

export interface CompiledExecutor {
  readonly executor: Executor;
  readonly reliability: Reliability;
  readonly evidence: string | null;
}

export function compileExecutor(
  to: Compiling,
  shape: ExecutorShape,
  beside: Beside,
  path: Path,
  tier: Tier | null = null,
): CompiledExecutor {
  const inside: Beside = shape;
  for (const key of ['reliability', 'idempotencyKey', 'evidence'] as const) {
    if (inside[key] !== undefined && beside[key] !== undefined)
      error(
        to,
        'BOTH_PLACES',
        [...path, key],
        `\`${key}\` stands inside the executor and beside it: keep one`,
        'key',
      );
  }
  const key = inside.idempotencyKey ?? beside.idempotencyKey ?? false;
  if (key && !('connection' in shape))
    error(to, 'WRONG_VALUE', path, `an executor of kind \`${shape.kind}\` takes no \`idempotencyKey\``);
  const at = inside.reliability === undefined ? path.slice(0, -1) : path;
  const executor = bare(to, shape, key, path);
  const reliability = compileReliability(to, inside.reliability ?? beside.reliability, key, [
    ...at,
    'reliability',
  ]);
  checkRepeats(to, tier, { executor, reliability }, path);
  return { executor, reliability, evidence: inside.evidence ?? beside.evidence ?? null };
}

/**
 * An effect without a key that is made again by itself: the same executor is, or another one of the step has an effect before
 * or after it. A fallback has one attempt, and its key is what the target that it calls knows.
 */
function checkRepeats(
  to: Compiling,
  tier: Tier | null,
  { executor, reliability }: { readonly executor: Executor; readonly reliability: Reliability },
  path: Path,
): void {
  const step = { action: { tier } };
  const calls: readonly Executor[] = [executor, ...reliability.fallback].filter(isCall);
  const effects = calls.filter((one) => hasEffect(step, one));
  const keyless = effects.filter((one) => !isRepeatable(step, one));
  const isTriedAgain = reliability.maxAttempts > 1 && keyless.includes(executor);
  if (!isTriedAgain && (keyless.length === 0 || effects.length === 1)) return;
  const isByFallback = effects.length > 1;
  const how = isTriedAgain
    ? `is tried again${isByFallback ? ', and by a fallback' : ''}`
    : keyless.includes(executor)
      ? 'is tried by a fallback too'
      : 'is a fallback of another one';
  warn(
    to,
    'RETRY_NOT_IDEMPOTENT',
    path,
    `an effect without an \`idempotencyKey\` ${how}: after an answer such as 500 or 503 it may happen twice, and a lost answer waits for a person`,
  );
}

function bare(to: Compiling, shape: ExecutorShape, idempotencyKey: boolean, path: Path): Executor {
  if (isHumanShape(shape)) {
    if (shape.queue !== undefined)
      assertQueue(to, shape.queue, [...path, 'queue'], shape.roles !== undefined);
    warnUnknownRoles(to, shape.roles ?? [], [...path, 'roles']);
    return { kind: 'human', queue: shape.queue ?? null, roles: shape.roles ?? [] };
  }
  const { kind, connection } = shape;
  if (connection !== undefined) checkConnection(to, kind, connection, [...path, 'connection']);
  const own = kindNamed(kind).compile(to, shape, path);
  return connection === undefined
    ? ({ kind, ...own } as FixedExecutor)
    : ({ kind, connection, ...own, idempotencyKey } as CallExecutor);
}

/** Of an executor's `connection`: is there one, and is it of the same kind? */
function checkConnection(to: Compiling, kind: string, connection: string, path: Path): void {
  const { connections } = to.catalog.policySet;
  const entry = connections.find((one) => one.name === connection);
  if (entry === undefined) {
    const near = nearest(
      connection,
      connections.map((one) => one.name),
    );
    return error(to, 'UNKNOWN_CONNECTION', path, `unknown connection \`${connection}\``, 'value', near);
  }
  const kinds = [...new Set(entry.targets.map((one) => one.connection.kind))];
  if (kinds.length > 0 && !kinds.includes(kind))
    error(
      to,
      'CONNECTION_KIND',
      path,
      `connection \`${connection}\` is of kind \`${kinds.join(', ')}\`, and this executor of kind \`${kind}\``,
    );
}

function compileReliability(
  to: Compiling,
  shape: ReliabilityShape | undefined,
  idempotencyKey: boolean,
  path: Path,
): Reliability {
  if (shape === undefined) return defaultReliability;
  assertOneTimeout(to, shape, path);
  const { retry } = shape;
  return {
    timeoutMs: Math.max(shape.timeout ?? shape.timeoutMs ?? defaultReliability.timeoutMs, 1),
    maxAttempts: retry?.maxAttempts ?? 1,
    backoff: retry?.backoff ?? (retry?.initialDelayMs === undefined ? 'none' : 'fixed'),
    initialDelayMs:
      retry?.initialDelayMs ?? (retry?.backoff === undefined || retry.backoff === 'none' ? 0 : 1_000),
    maxDelayMs: retry?.maxDelayMs ?? defaultReliability.maxDelayMs,
    retryOn: retry?.retryOn ?? defaultReliability.retryOn,
    fallback: (shape.fallback?.executors ?? []).map((one, index) =>
      compileFallback(to, one, idempotencyKey, [...path, 'fallback', 'executors', index]),
    ),
  };
}

/** Tried with the idempotency key of what it stands in for, and once. */
function compileFallback(to: Compiling, shape: ExecutorShape, idempotencyKey: boolean, path: Path): Executor {
  if (isHumanShape(shape))
    error(to, 'WRONG_VALUE', [...path, 'kind'], 'a fallback cannot wait for a human: use another state');
  for (const key of ['reliability', 'evidence'] as const)
    if (shape[key] !== undefined)
      error(to, 'WRONG_VALUE', [...path, key], `a fallback has no \`${key}\` of its own: remove it`, 'key');
  const own = 'idempotencyKey' in shape ? shape.idempotencyKey : undefined;
  return bare(to, shape, own ?? idempotencyKey, path);
}
