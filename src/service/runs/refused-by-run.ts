import type { ErrorCode } from '../../model/contract/errors.js';
import type { MessageOutcome } from '../../client/types.js';
import type { Refusal as RunRefusal } from '../../engine/state.js';
import { noteRun, type Caller } from '../caller.js';
import { notFound, refusal, uncertainDetail, type Refusal } from '../refusal.js';
import { linksOf } from './links.js';
import { withDocument } from './document.js';

/** The refusal of a run, with its legal links and its version as they are now. Null: the run did not refuse. */
export async function refusalFromRun(
  caller: Caller,
  run: string,
  outcome: MessageOutcome,
): Promise<Refusal | null> {
  if (outcome.status === 'unavailable') return unavailableRefusal(caller, outcome.code, outcome.message);
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
  const extra = {
    ...refusalFields(answer),
    links,
    version: row.version,
    state: row.state,
    runStatus: row.status,
  };
  return refusal(answer.code, detailOf(caller, answer, outcome.by), extra, againAfter(answer.code));
}

/** The same of a run that was not started. */
export function refusalAtDoor({ code, message }: RunRefusal): Refusal {
  return refusal(code, message, {}, againAfter(code));
}

/** Seconds after which the same may be asked again; null: the refusal holds not only for now. */
function againAfter(code: ErrorCode): 2 | null {
  return code === 'RATE_LIMITED' || code === 'KEY_UNOPENED' || code === 'RUN_BUSY' ? 2 : null;
}

/**
 * A run that is full may have room later, and one that is stuck may go on; whoever repeats the request by then would get this
 * answer, which is kept. Of what a run refused when it became stuck, part may have happened.
 */
function detailOf({ heldKey: held }: Caller, { code, message }: RunRefusal, by: 'run' | 'door'): string {
  if (held === null || (code !== 'RUN_FULL' && code !== 'RUN_STUCK')) return message;
  const kept = `${message}; this answer is kept under its Idempotency-Key: `;
  return code === 'RUN_STUCK' && by === 'run'
    ? `${kept}see what came of this before you ask again under another`
    : `${kept}to ask again, take another`;
}

/**
 * A run records a refusal of this code on its own chain. A closed run's chain takes no more records, and a run does not record what
 * it could not read: these refusals go to the service's chain.
 */
export function isOnChain(code: ErrorCode): boolean {
  return code !== 'RUN_CLOSED' && code !== 'INTERNAL';
}

export function unavailableRefusal(
  { heldKey: held }: Caller,
  code: 'AUDIT_UNAVAILABLE' | 'ENGINE_UNAVAILABLE',
  message?: string,
): Refusal {
  const detail =
    message ??
    (code === 'AUDIT_UNAVAILABLE'
      ? uncertainDetail('the store of runs and records does not answer', held !== null ? 'repeat' : 'look')
      : 'the workflow engine does not answer, and nothing of this request runs: try again');
  return { ...refusal(code, detail, {}, 2), isUnkept: message !== undefined };
}

function refusalFields({ guard, rule, why, errorClass, errors, action }: RunRefusal): object {
  return {
    ...(guard === undefined ? {} : { guard }),
    ...(rule === undefined ? {} : { rule }),
    ...(why === undefined ? {} : { why }),
    ...(errorClass === undefined ? {} : { errorClass }),
    ...(errors === undefined ? {} : { errors }),
    ...(action === undefined ? {} : { action: `/v1/actions/${action}` }),
  };
}
