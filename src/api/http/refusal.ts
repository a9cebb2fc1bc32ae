import type { MessageOutcome } from '../../client/types.js';
import type { Refusal } from '../../engine/state.js';
import { getRun } from '../../store/runs.js';
import { noteRun, principalOf, type Call } from './call.js';
import { notFound, problem, type Problem } from '../contract/problem.js';
import { linksOf } from '../runs/run-body.js';

/** What a run said no to, with the legal links and the version as they are now. Null: it did not refuse. */
export async function refusal(call: Call, run: string, outcome: MessageOutcome): Promise<Problem | null> {
  if (outcome.status === 'unavailable') return unavailable(call, outcome.code, outcome.message);
  if (outcome.status !== 'answered' || outcome.answer.status !== 'refused') return null;
  const { answer } = outcome;
  if (answer.code === 'NOT_FOUND') return notFound('run', run);
  // A closed run's own chain takes no more records: then the service's has to.
  call.recordedByRun = outcome.by === 'run' && answer.code !== 'RUN_CLOSED' && answer.code !== 'INTERNAL';
  const row = await getRun(call.deps.pool, run);
  if (row === null) return notFound('run', run);
  noteRun(call, row, true);
  const links = await linksOf(call.deps, row, principalOf(call));
  const extra = { ...fields(answer), links, version: row.version, state: row.state, runStatus: row.status };
  return problem(answer.code, answer.message, extra, retryHeaders(answer.code));
}

/** What is asked too often now may be asked again soon. */
export function retryHeaders(code: Refusal['code']): Record<string, string> {
  return code === 'RATE_LIMITED' ? { 'Retry-After': '2' } : {};
}

export function unavailable(
  call: Call,
  code: 'AUDIT_UNAVAILABLE' | 'ENGINE_UNAVAILABLE',
  message?: string,
): Problem {
  const detail =
    message ??
    (code === 'AUDIT_UNAVAILABLE'
      ? uncertain(call, 'the store of runs and records does not answer', true)
      : 'the workflow engine does not answer, and nothing runs of what was asked: try again');
  return problem(code, detail, {}, { 'Retry-After': '2' });
}

/** What became of a request that was cut off in the middle. `isIdempotent`: under one key it is done once, however often it is sent. */
export function uncertain({ request }: Call, why: string, isIdempotent: boolean): string {
  if (request.method === 'GET' || request.method === 'HEAD') return `${why}: ask again`;
  const unsure = `${why}, and it is not certain whether this was done`;
  return isIdempotent && request.headers['idempotency-key'] !== undefined
    ? `${unsure}: repeat the request under the same Idempotency-Key, which does it once`
    : `${unsure}: look before you send it again`;
}

function fields({ guard, rule, why, errorClass, errors, action }: Refusal): object {
  return {
    ...(guard === undefined ? {} : { guard }),
    ...(rule === undefined ? {} : { rule }),
    ...(why === undefined ? {} : { why }),
    ...(errorClass === undefined ? {} : { errorClass }),
    ...(errors === undefined ? {} : { errors }),
    ...(action === undefined ? {} : { action: `/v1/actions/${action}` }),
  };
}
