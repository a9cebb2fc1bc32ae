import type { ErrorCode } from '../../model/errors.js';
import type { MessageOutcome } from '../../client/types.js';
import type { Refusal as RunRefusal } from '../../engine/state.js';
import { noteRun, type Caller } from '../caller.js';
import { notFound, refusal, uncertain, type Refusal } from '../refusal.js';
import { linksOf, withDocument } from './body.js';

/** What a run said no to, with the legal links and the version as they are now. Null: it did not refuse. */
export async function refusedByRun(
  caller: Caller,
  run: string,
  outcome: MessageOutcome,
): Promise<Refusal | null> {
  if (outcome.status === 'unavailable') return unavailable(caller, outcome.code, outcome.message);
  if (outcome.status !== 'answered' || outcome.answer.status !== 'refused') return null;
  const { answer } = outcome;
  if (answer.code === 'NOT_FOUND') return notFound('run', run);
  caller.trail.recordedByRun = outcome.by === 'run' && isOnChain(answer.code);
  const found = await withDocument(caller, run, async (row, document) => ({
    row,
    links: await linksOf(caller.deps, row, document, caller.principal),
  }));
  if (found === null) return notFound('run', run);
  const { row, links } = found;
  noteRun(caller, row, true);
  const extra = { ...fields(answer), links, version: row.version, state: row.state, runStatus: row.status };
  // What is asked too often now may be asked again soon.
  return refusal(answer.code, answer.message, extra, answer.code === 'RATE_LIMITED' ? 2 : null);
}

/** A closed run's own chain takes no more records, nor one of what it could not read: then the service's has to. */
export function isOnChain(code: ErrorCode): boolean {
  return code !== 'RUN_CLOSED' && code !== 'INTERNAL';
}

export function unavailable(
  { held }: Caller,
  code: 'AUDIT_UNAVAILABLE' | 'ENGINE_UNAVAILABLE',
  message?: string,
): Refusal {
  const detail =
    message ??
    (code === 'AUDIT_UNAVAILABLE'
      ? uncertain('the store of runs and records does not answer', held !== null ? 'repeat' : 'look')
      : 'the workflow engine does not answer, and nothing runs of what was asked: try again');
  return refusal(code, detail, {}, 2);
}

function fields({ guard, rule, why, errorClass, errors, action }: RunRefusal): object {
  return {
    ...(guard === undefined ? {} : { guard }),
    ...(rule === undefined ? {} : { rule }),
    ...(why === undefined ? {} : { why }),
    ...(errorClass === undefined ? {} : { errorClass }),
    ...(errors === undefined ? {} : { errors }),
    ...(action === undefined ? {} : { action: `/v1/actions/${action}` }),
  };
}
