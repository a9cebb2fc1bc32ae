import type { Message } from '../model/message.js';
import type { Plan } from './plan.js';
import {
  closedStatuses,
  type EventResult,
  type Event,
  type Kit,
  type Refusal,
  type RunState,
} from './state.js';
import { actorOf, answer, finish, makeDraft, record, refuse, type Draft } from './run/draft.js';
import { decideApproval } from './gates/approvals.js';
import { endsBefore, isOver } from './run/ending/ending.js';
import { hearsTime } from './run/moments.js';
import { onApprovalDeadline } from './gates/expiry.js';
import { cancel, onOutcome, onRunTimeout } from './effects/outcome.js';
import { retry, retryRefusal } from './effects/retry.js';
import { start } from './run/start.js';
import { submit } from './run/submit.js';
import { isRun, refuseUnreadable } from './run/stuck/unreadable.js';

/**
 * The meaning of governance, pure: what one event does to a run. Used by the run's policy check, by
 * links, by the checker, by the simulator and by the audit's replay. Time, ids and `key` (unique for
 * the event within the run) come in with the event. Refusals are answers, never exceptions: what is thrown in here comes
 * back as `failure`, beside a refusal. Whoever keeps a run reports and counts it, and sees to it that a timer does not repeat
 * the same event for ever.
 */
export function decide(plan: Plan, run: RunState, event: Event, kit: Kit, key: string): EventResult {
  try {
    if (isRun(run)) return applyEvent(plan, run, event, kit, key);
    return refuseUnreadable(run, event, key, new Error('the run has no status, version, stay or depth'));
  } catch (error) {
    // What comes out of the store is not typed. Whatever is missing there, or wrong in here, is refused: the run still answers.
    return refuseUnreadable(run, event, key, error as Error);
  }
}

function applyEvent(plan: Plan, run: RunState, event: Event, kit: Kit, key: string): EventResult {
  const draft = makeDraft(plan, run, kit, event.time, key);
  if (hearsTime(run) && endsBefore(run, event)) onRunTimeout(draft);
  switch (event.kind) {
    case 'message':
      return finish(dispatch(draft, event), run);
    case 'refused_message':
      record(draft, 'message.refused', {
        actor: { kind: 'anonymous', id: 'unknown' },
        ...(event.message === null ? {} : { causation: event.message.id }),
        data: {
          reason: event.reason,
          name: event.name,
          ...(event.message === null ? {} : { digest: event.message.digest }),
        },
      });
      break;
    case 'outcome':
      onOutcome(draft, event.action, event.result);
      break;
    case 'deadline':
      if (hearsTime(run)) onApprovalDeadline(draft, event.approval);
      if (hearsTime(draft.run) && isOver(draft.run, event.time)) onRunTimeout(draft);
      break;
    case 'timeout':
      if (hearsTime(run)) onRunTimeout(draft);
      break;
    default:
      return refuseUnreadable(run, event, key, new Error('there is no such event'));
  }
  return finish(draft, run);
}

function isClosed(run: RunState): boolean {
  return closedStatuses.includes(run.status);
}

/** Gives the draft to go on with. */
function dispatch(draft: Draft, { message, settledAs }: Extract<Event, { kind: 'message' }>): Draft {
  const { body } = message;
  switch (body.kind) {
    case 'start':
      start(draft, message, body);
      return draft;
    case 'submit':
      return submit(draft, message, body);
    case 'decide':
      decideApproval(draft, message, body, settledAs ?? null);
      return draft;
    case 'cancel':
    case 'retry':
      operate(draft, message, body.kind);
      return draft;
    default:
      throw new Error('there is no such message');
  }
}

function operate(draft: Draft, message: Message, kind: 'cancel' | 'retry'): void {
  const { principal } = message;
  const refused = operateRefusal(draft, message, kind);
  if (refused !== null) {
    record(draft, 'transition.rejected', {
      actor: actorOf(principal),
      causation: message.id,
      action: { transition: kind },
      policy: { rule: refused.rule ?? refused.code, verdict: 'refused', reason: refused.message },
      data: { code: refused.code },
    });
    return refuse(draft, message.id, refused);
  }
  answer(draft, message.id, { status: 'accepted' });
  record(draft, 'transition.requested', {
    actor: actorOf(principal),
    permission: 'run.operate',
    causation: message.id,
    action: { transition: kind },
    refs: message.refs,
    data: {},
  });
  if (kind === 'cancel') cancel(draft, principal, message.id);
  else retry(draft, principal);
}

function operateRefusal(
  draft: Draft,
  message: Message,
  kind: 'cancel' | 'retry',
): Omit<Refusal, 'status'> | null {
  const { run } = draft;
  if (isClosed(run)) return { code: 'RUN_CLOSED', message: `the run is ${run.status}` };
  if (!message.principal.permissions.includes('run.operate'))
    return { code: 'FORBIDDEN', message: `\`${kind}\` takes the permission \`run.operate\`` };
  if (kind === 'cancel') return null;
  if (run.status !== 'stuck') return { code: 'NOT_STUCK', message: `the run is ${run.status}, not stuck` };
  return retryRefusal(draft, message);
}
