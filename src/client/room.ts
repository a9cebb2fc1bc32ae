import { mostDocumentBytes, mostOpenApprovals, mostOpenBytes, mostUnanswered } from '../model/limits.js';
import type { MessageKind } from '../model/message.js';
import type { Refusal } from '../engine/state.js';
import type { Unanswered } from '../store/runs/messages.js';
import type { RunRow } from '../store/runs/runs.js';
import type { Foreseen } from './types.js';

// What a run may carry besides what it carries already, by what the store says of it.

/** Refuses a message for which the run has no room; null: there is room. `foreseen`: what is so now, or null. Of decisions, cancels and retries only the number counts, since they are small. */
export function refuseWithoutRoom(
  row: RunRow,
  waiting: Unanswered,
  kind: MessageKind,
  bytes: number,
  foreseen: Foreseen | null,
): Refusal | null {
  const no = (code: Refusal['code'], message: string): Refusal => ({ status: 'refused', code, message });
  // Counted apart, so that programs' submits take no room from people's decisions, cancels and retries.
  if ((kind === 'submit' ? waiting.submits : waiting.others) >= mostUnanswered)
    return no(
      'RATE_LIMITED',
      `the run has ${kind === 'submit' ? waiting.submits : waiting.others} messages of this kind that it has not answered: ask again when it has`,
    );
  if (kind !== 'submit') return null;
  // A submit without arguments takes no room, and may end the run or make room. Whether it opens an approval, the run checks.
  const full = bytes > emptyBytes ? refuseWithoutOpenRoom(row, waiting, bytes) : null;
  // What waits without an answer is bounded, whatever it leads to.
  const isKnownToFit = foreseen?.refusal === null && waiting.ids.length === 0;
  const refused = isKnownToFit ? null : (full ?? foreseen?.refusal ?? null);
  if (refused !== null) return refused;
  const document = row.doc === null ? 0 : Buffer.byteLength(row.doc);
  return document > mostDocumentBytes
    ? no('RUN_FULL', describeFullDocument(document, row.openApprovals))
    : null;
}

/** Explains that the run's document is full. What it holds of past work stays as long as the run, so a repeated request needs a new idempotency key. */
function describeFullDocument(bytes: number, openApprovals: number): string {
  const next =
    openApprovals === 0
      ? 'go on in another run'
      : `decide its ${openApprovals} open approvals, which may make room, or go on in another run`;
  return `what the run carries (its context, its open approvals, and a count of each different request that it has done, which stays until it ends) takes ${bytes} bytes, and ${mostDocumentBytes} are the most: it takes no submit now, what waits in it can still be decided, and a cancel ends it; ${next}`;
}

/** The size of empty arguments. */
const emptyBytes = Buffer.byteLength('{}');

/** Refuses arguments for which the run's open approvals and unanswered submits leave no room; null: there is room. */
function refuseWithoutOpenRoom(
  row: Pick<RunRow, 'openApprovals' | 'openBytes'>,
  waiting: { readonly submits: number; readonly bytes: number },
  bytes: number,
): Refusal | null {
  const no = (message: string): Refusal => ({ status: 'refused', code: 'RUN_FULL', message });
  if (row.openApprovals + waiting.submits >= mostOpenApprovals)
    return no(
      `the run has ${row.openApprovals} open approvals and ${waiting.submits} requests without an answer, and ${mostOpenApprovals} of both are the most: have some decided first`,
    );
  const open = row.openBytes + waiting.bytes + bytes;
  return open > mostOpenBytes
    ? no(
        `with this the run would hold ${open} bytes of arguments that wait for an answer or a decision, and of what its open approvals say, and it can hold ${mostOpenBytes}: have its approvals decided first, or send less`,
      )
    : null;
}
