import { hasEffect, isRepeatable } from '../../executors/effects.js';
import { requireKind } from '../../executors/find-kind.js';
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
import type { JsonObject } from '../../model/values/json.js';
import { argumentNames } from '../check/other-notations.js';
import { warnUnknownRoles } from '../check/roles.js';
import { isHumanShape, type ExecutorShape, type ReliabilityShape } from '../shape/shapes.js';
import { nearest } from '../text/problems.js';

// Executors, and how often a call is tried.

/** Keys that may stand inside the executor or beside it, but not in both places. */
export interface Beside {
  readonly reliability?: ReliabilityShape | undefined;
  readonly idempotencyKey?: boolean | undefined;
  readonly evidence?: string | undefined;
  readonly inputSchema?: JsonObject | undefined;
}

export interface CompiledExecutor {
  readonly executor: Executor;
  readonly reliability: Reliability;
  readonly evidence: string | null;
}

export function compileExecutor(
  around: Compiling,
  shape: ExecutorShape,
  beside: Beside,
  path: Path,
  tier: Tier | null = null,
): CompiledExecutor {
  const to: Compiling = { ...around, argumentNames: argumentNames(beside.inputSchema) };
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
  const executor = compileBareExecutor(to, shape, key, path);
  const reliability = compileReliability(to, inside.reliability ?? beside.reliability, key, [
    ...at,
    'reliability',
  ]);
  checkRepeats(to, tier, { executor, reliability }, path);
  return { executor, reliability, evidence: inside.evidence ?? beside.evidence ?? null };
}

/**
 * Warns of an effect without an idempotency key that may be made again: its executor is tried again, or another executor of the
 * step has an effect before or after it. A fallback has one attempt; its key is for the target that it calls.
 */
function checkRepeats(
  to: Compiling,
  tier: Tier | null,
  { executor, reliability }: { readonly executor: Executor; readonly reliability: Reliability },
  path: Path,
): void {
  const step = { action: { tier } };
  const calls: readonly Executor[] = [executor, ...reliability.fallback].filter(isCall);
  const effects = calls.filter((call) => hasEffect(step, call));
  const keyless = effects.filter((call) => !isRepeatable(step, call));
  const isTriedAgain = reliability.maxAttempts > 1 && keyless.includes(executor);
  if (!isTriedAgain && (keyless.length === 0 || effects.length === 1)) return;
  const isByFallback = effects.length > 1;
  const how = isTriedAgain
    ? `is tried again${isByFallback ? ', and by a fallback' : ''}`
    : keyless.includes(executor)
      ? 'is tried by a fallback too'
      : 'is a fallback of another effect';
  warn(
    to,
    'RETRY_NOT_IDEMPOTENT',
    path,
    `an effect without an \`idempotencyKey\` ${how}: after an answer such as 500 or 503 it may happen twice, and a lost answer waits for a person`,
  );
}

function compileBareExecutor(
  to: Compiling,
  shape: ExecutorShape,
  idempotencyKey: boolean,
  path: Path,
): Executor {
  if (isHumanShape(shape)) {
    if (shape.queue !== undefined)
      assertQueue(to, shape.queue, [...path, 'queue'], shape.roles !== undefined);
    warnUnknownRoles(to, shape.roles ?? [], [...path, 'roles']);
    return { kind: 'human', queue: shape.queue ?? null, roles: shape.roles ?? [] };
  }
  const { kind, connection } = shape;
  if (connection !== undefined) checkConnection(to, kind, connection, [...path, 'connection']);
  const ofKind = requireKind(kind).compile(to, shape, path);
  return connection === undefined
    ? ({ kind, ...ofKind } as FixedExecutor)
    : ({ kind, connection, ...ofKind, idempotencyKey } as CallExecutor);
}

/** The connection must be declared, and be of the executor's kind. */
function checkConnection(to: Compiling, kind: string, connection: string, path: Path): void {
  const { connections } = to.catalog.policySet;
  const entry = connections.find((declared) => declared.name === connection);
  if (entry === undefined) {
    const near = nearest(
      connection,
      connections.map((declared) => declared.name),
    );
    return error(to, 'UNKNOWN_CONNECTION', path, `unknown connection \`${connection}\``, 'value', near);
  }
  const kinds = [...new Set(entry.targets.map((target) => target.connection.kind))];
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
    fallback: (shape.fallback?.executors ?? []).map((executor, index) =>
      compileFallback(to, executor, idempotencyKey, [...path, 'fallback', 'executors', index]),
    ),
  };
}

/** A fallback is tried once, with the idempotency key of the executor that it stands in for, unless it has its own setting. */
function compileFallback(to: Compiling, shape: ExecutorShape, idempotencyKey: boolean, path: Path): Executor {
  if (isHumanShape(shape))
    error(to, 'WRONG_VALUE', [...path, 'kind'], 'a fallback cannot wait for a human: use another state');
  for (const key of ['reliability', 'evidence'] as const)
    if (shape[key] !== undefined)
      error(to, 'WRONG_VALUE', [...path, key], `a fallback has no \`${key}\` of its own: remove it`, 'key');
  const ownKey = 'idempotencyKey' in shape ? shape.idempotencyKey : undefined;
  return compileBareExecutor(to, shape, ownKey ?? idempotencyKey, path);
}
