import { hasEffect, isRepeatable, overrideIn } from '../../engine/effects/effects.js';
import {
  defaultReliability,
  type Executor,
  type Reliability,
  type Template,
  type Tier,
} from '../../engine/plan.js';
import type { Json, JsonObject } from '../../model/json.js';
import { assertOneTimeout, error, newError, warn, type Compiling, type Path } from './context.js';
import { assertQueue } from './gates.js';
import { checkConnection, checkRest, headersOf } from '../check/rest.js';
import { mostArgumentsBytes, passedBytes, passingTrouble } from '../../model/command-line.js';
import { breakTrouble, lineTrouble } from '../../model/text.js';
import { refuseHoles } from '../check/holes.js';
import { warnUnknownRoles } from '../check/roles.js';
import type { ExecutorShape, ReliabilityShape } from '../shape/shapes.js';
import { compileEntries, compileTemplate, compileText } from './values.js';
import { refuseSentRewritten, warnRewritten } from '../check/rewritten-values.js';

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
  const calls: readonly Executor[] = [executor, ...reliability.fallback].filter((one) => 'connection' in one);
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

/** What in the headers of its connection, in any environment, may make a call another method. */
function overridden(to: Compiling, connection: string): { readonly overriddenBy?: string } {
  const overriddenBy = overrideIn(headersOf(to, connection), '');
  return overriddenBy === null ? {} : { overriddenBy };
}

function bare(to: Compiling, shape: ExecutorShape, idempotencyKey: boolean, path: Path): Executor {
  if ('connection' in shape) checkConnection(to, shape, [...path, 'connection']);
  if (shape.kind === 'rest') checkRest(to, shape, path);
  switch (shape.kind) {
    case 'rest':
      return {
        kind: 'rest',
        connection: shape.connection,
        method: shape.method,
        path: compileText(to, shape.path, [...path, 'path']),
        query: compileTexts(to, shape.query, [...path, 'query']),
        headers: compileTexts(to, shape.headers, [...path, 'headers']),
        body: shape.body === undefined ? null : compileTemplate(to, shape.body, [...path, 'body']),
        ...overridden(to, shape.connection),
        idempotencyKey,
      };
    case 'mcp':
      warnRewritten(to, shape.map ?? null, [...path, 'map']);
      refuseHoles(to, shape.tool, [...path, 'tool'], 'nothing');
      checkToolName(to, shape.tool, [...path, 'tool']);
      return {
        kind: 'mcp',
        connection: shape.connection,
        tool: shape.tool,
        map: shape.map === undefined ? null : compileTemplate(to, shape.map, [...path, 'map']),
        idempotencyKey,
      };
    case 'cli': {
      const args = (shape.args ?? []).map((one, index) => compileArgument(to, one, [...path, 'args', index]));
      checkPassed(to, args, [...path, 'args']);
      return {
        kind: 'cli',
        connection: shape.connection,
        args,
        stdin: shape.stdin === undefined ? null : compileSent(to, shape.stdin, [...path, 'stdin']),
        ...(shape.allowDashes === true ? { allowDashes: true } : {}),
        idempotencyKey,
      };
    }
    case 'human':
      if (shape.queue !== undefined)
        assertQueue(to, shape.queue, [...path, 'queue'], shape.roles !== undefined);
      warnUnknownRoles(to, shape.roles ?? [], [...path, 'roles']);
      return { kind: 'human', queue: shape.queue ?? null, roles: shape.roles ?? [] };
    case 'noop':
      warnRewritten(to, shape.output ?? null, [...path, 'output']);
      refuseHoles(to, shape.output ?? null, [...path, 'output'], 'nothing');
      return { kind: 'noop', output: shape.output ?? null };
  }
}

/** One value that is sent as text. */
function compileSent(to: Compiling, value: Json, path: Path): Template {
  refuseSentRewritten(to, value, path);
  return compileTemplate(to, value, path);
}

function compileArgument(to: Compiling, value: string | number | boolean, path: Path): Template {
  refuseSentRewritten(to, value, path);
  return compileTemplate(to, String(value), path);
}

function compileTexts(
  to: Compiling,
  values: JsonObject | undefined,
  path: Path,
): ReturnType<typeof compileEntries> {
  for (const [name, value] of Object.entries(values ?? {})) refuseSentRewritten(to, value, [...path, name]);
  return compileEntries(to, values, path);
}

function checkToolName(to: Compiling, name: string, path: Path): void {
  const trouble = lineTrouble(name);
  if (trouble !== null) newError(to, 'WRONG_VALUE', path, `the name ${trouble}`);
}

/** What the author has written himself, and no system would pass to a command. */
function checkPassed(to: Compiling, args: readonly Template[], path: Path): void {
  const written = args.map((one) => (one.kind === 'literal' ? String(one.value) : ''));
  for (const [index, text] of written.entries()) {
    const [trouble, broken] = [passingTrouble(text), breakTrouble(text)];
    if (trouble !== null) error(to, 'WRONG_VALUE', [...path, index], `the argument ${trouble}`);
    else if (broken !== null) newError(to, 'WRONG_VALUE', [...path, index], `the argument ${broken}`);
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
  if (shape.kind === 'human')
    error(to, 'WRONG_VALUE', [...path, 'kind'], 'a fallback cannot wait for a human: use another state');
  for (const key of ['reliability', 'evidence'] as const)
    if (shape[key] !== undefined)
      error(to, 'WRONG_VALUE', [...path, key], `a fallback has no \`${key}\` of its own: remove it`, 'key');
  const own = 'idempotencyKey' in shape ? shape.idempotencyKey : undefined;
  return bare(to, shape, own ?? idempotencyKey, path);
}
