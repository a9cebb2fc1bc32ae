import { isObject } from '../../../model/values/json.js';
import type { Fact } from '../../../model/records.js';
import { noteDoubt } from '../../effects/doubts.js';
import { makeNotes } from '../draft.js';
import { unknownOf } from '../../effects/outcome.js';
import { closedStatuses, type Answer, type EventResult, type Executing, type RunState } from '../../state.js';

// Plans, runs and events come out of stores. Where they are not what this engine reads, nothing is decided, and that is put on record.

const epoch = new Date(0).toISOString();
const statuses: readonly unknown[] = [...closedStatuses, 'running', 'waiting', 'stuck'];

/** Has the run what every event relies on? A status or a number that is none must let nothing through. */
export function isRun({ status, version, stay, chainDepth }: RunState): boolean {
  return (
    statuses.includes(status) &&
    [version, stay, chainDepth].every((count) => Number.isSafeInteger(count) && count >= 0)
  );
}

/**
 * Refuses an event: whoever asked is told, and the run stays as it was. Only where an effect has come to an outcome that
 * cannot be read does the run become stuck: it would wait for that outcome for ever.
 */
export function refuseUnreadable(run: RunState, event: unknown, key: string, failure: Error): EventResult {
  const name = textOf(propertyOf(event, 'kind')) ?? 'unknown';
  const message = `the plan, the run or the event is not what this engine reads: ${failure.message.toWellFormed()}`;
  const id = textOf(propertyOf(propertyOf(event, 'message'), 'id'));
  const time = textOf(propertyOf(event, 'time')) ?? epoch;
  const fact = (type: Fact['type'], data: Fact['data']): Fact => ({
    key: `${key}#${type}`,
    type,
    time,
    actor: { kind: 'runtime', id: 'countersign' },
    data,
  });
  const refusal: Answer = { status: 'refused', code: 'INTERNAL', message };
  const nothing: EventResult = {
    state: run,
    effects: id === null ? [] : [{ kind: 'answer', messageId: id, answer: refusal }],
    trace: [fact('message.refused', { reason: 'undecodable', name, message })],
    actions: [],
    failure,
  };
  const executing = propertyOf(propertyOf(run, 'executing'), 'action');
  const waitsFor = (closedStatuses as readonly unknown[]).includes(propertyOf(run, 'status'))
    ? null
    : textOf(propertyOf(executing, 'id'));
  if (name !== 'outcome' || waitsFor === null || waitsFor !== propertyOf(event, 'action')) return nothing;
  return {
    ...nothing,
    ...leaveToPerson(run, propertyOf(run, 'executing') as Executing, nothing, {
      key,
      message,
      time,
      stuck: fact('run.stuck', { code: 'EXECUTOR_UNKNOWN', message }),
    }),
  };
}

/** The same as after an unknown outcome: whoever waits is answered, and whoever is asked to approve it again is told. */
function leaveToPerson(
  run: RunState,
  executing: Executing,
  { effects, trace }: EventResult,
  {
    key,
    time,
    message,
    stuck,
  }: Readonly<Record<'key' | 'time' | 'message', string>> & { readonly stuck: Fact },
): Pick<EventResult, 'state' | 'effects' | 'trace' | 'actions'> {
  const { action } = executing;
  const problem = { code: 'EXECUTOR_UNKNOWN', message, errorClass: 'unknown_outcome' } as const;
  const noted = makeNotes(run, time, key);
  try {
    if (textOf(propertyOf(action, 'idempotencyKey')) !== null) noteDoubt(noted, action);
  } catch {
    // Approvals that cannot be read need not be revoked: nobody can decide them.
  }
  const waiting = textOf(propertyOf(propertyOf(run, 'waitingAnswer'), 'messageId'));
  const told: Answer = {
    status: 'refused',
    code: 'EXECUTOR_FAILED',
    errorClass: 'unknown_outcome',
    action: action.id,
    message: `whether \`${action.transition}\` was done is not known: ${message}`,
  };
  return {
    state: {
      ...noted.run,
      executing: null,
      waitingAnswer: null,
      status: 'stuck',
      problem,
      stuckAt: key,
      stuckOn: unknownOf(executing),
    },
    effects: [
      ...effects,
      ...(waiting === null ? [] : [{ kind: 'answer', messageId: waiting, answer: told } as const]),
    ],
    trace: [...trace, ...noted.facts, stuck],
    actions: [...noted.actions, { action, status: 'unknown', error: problem, outputRef: null }],
  };
}

function propertyOf(value: unknown, name: string): unknown {
  return isObject(value) && Object.hasOwn(value, name) ? value[name] : undefined;
}

function textOf(value: unknown): string | null {
  return typeof value === 'string' ? value.toWellFormed() : null;
}
