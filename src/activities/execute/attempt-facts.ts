import type { Executing, GuardReport } from '../../engine/state.js';
import type { JsonObject } from '../../model/values/json.js';
import type { Fact } from '../../model/records.js';
import type { RunScope } from '../../audit/index.js';
import { pointerOf, type Place } from '../../executors/index.js';
import type { ExecutorResult } from '../../executors/types.js';
import type { RunRow } from '../../store/runs/runs.js';
import type { AfterFailure, NextAttempt } from './attempts.js';

// The audit records of an attempt.

export function dataOfStart(
  executing: Executing,
  next: Extract<NextAttempt, { kind: 'attempt' }>,
): Fact['data'] {
  const { executor } = next;
  return {
    executor: executor.kind,
    ...('connection' in executor ? { connection: executor.connection } : {}),
    ...('idempotencyKey' in executor && executor.idempotencyKey
      ? { idempotencyKey: executing.action.idempotencyKey }
      : {}),
    ...(executing.action.requester === null ? {} : { requestedBy: executing.action.requester.id }),
  };
}

/** Where the kept answer differs from what the target wrote: numbers kept as text, and masked values of references. */
export function dataOfAnswer(result: ExecutorResult): Fact['data'] {
  if (result.status === 'failed') return result.isMasked === true ? { masked: ['/message'] } : {};
  const { exact = [], masked = [], maskedResponse = [] } = result;
  return {
    ...listPointers('exact', exact),
    ...listPointers('masked', masked),
    ...listPointers('maskedResponse', maskedResponse),
  };
}

/** A record holds the first pointers of a long list, and their number. */
const maxPointers = 200;
/** The most characters of those pointers together: a long name is repeated in each pointer below it. */
const maxPointerCharacters = 32_768;

function listPointers(name: string, places: readonly Place[]): JsonObject {
  if (places.length === 0) return {};
  const first: string[] = [];
  let left = maxPointerCharacters;
  for (const place of places.slice(0, maxPointers)) {
    const pointer = pointerOf(place);
    left -= pointer.length;
    if (left < 0) break;
    first.push(pointer);
  }
  const more = places.length > first.length ? { [`${name}Count`]: places.length } : {};
  return { [name]: first, ...more };
}

export function makeAttemptFact(
  executing: Executing,
  attempt: number,
  type: Fact['type'],
  time: string,
  data: Fact['data'],
): Fact {
  const { action } = executing;
  return {
    key: `x:${action.id}:${attempt}:${type}`,
    type,
    time,
    actor: { kind: 'runtime', id: 'countersign' },
    action: {
      id: action.id,
      transition: action.transition,
      digest: action.digest,
      ...(action.tool === null ? {} : { tool: action.tool }),
      ...(action.tier === null ? {} : { tier: action.tier }),
    },
    ...(action.approval === null ? {} : { approval: action.approval }),
    attempt,
    data,
  };
}

/** The record of a guard that passed when its transition was asked for, and now refuses the effect. */
export function makeGuardFact(
  executing: Executing,
  attempt: number,
  time: string,
  { index, kind, verdict, reason }: GuardReport,
): Fact {
  const data = { index, kind, verdict, reason };
  const fact = makeAttemptFact(executing, attempt, 'guard.evaluated', time, data);
  return { ...fact, policy: { rule: `guards/${index}`, verdict, reason } };
}

export function scopeOf(row: RunRow): RunScope {
  return {
    run: row.id,
    environment: row.environment,
    flow: row.flow,
    planHash: row.planHash,
    traceId: row.traceId,
    workflowId: row.id,
    firstRunId: '',
  };
}

export function makeRetryFacts(
  executing: Executing,
  attempt: number,
  time: string,
  then: AfterFailure,
): Fact[] {
  if (then.kind === 'final') return [];
  const data =
    then.kind === 'retry' ? { delayMs: then.delayMs, next: 'retry' } : { delayMs: 0, next: 'fallback' };
  return [makeAttemptFact(executing, attempt, 'executor.retrying', time, data)];
}
