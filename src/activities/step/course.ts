import {
  closedStatuses,
  type EventResult,
  type Effect,
  type Event,
  type Kit,
  type RunState,
} from '../../engine/state.js';
import type { Plan } from '../../engine/plan.js';
import { decide, dueEvent } from '../../engine/index.js';
import { canonical } from '../../model/values/canonical.js';
import type { Fact } from '../../model/records.js';
import type { Tx } from '../../db/index.js';
import type { OnInternalError } from '../../model/internal-error.js';
import { makeTurns } from '../../model/give-way.js';
import { mostWaiting } from '../../model/limits.js';
import { lockUntaken } from '../../store/runs/messages.js';
import type { RunRow } from '../../store/runs/runs.js';
import { readEachOrRefuse, type Incoming } from './arrivals.js';
import type { ActivityDeps } from '../deps.js';
import type { ArrivedValue } from './document.js';
import type { TakenMessage } from './persist.js';

/** Most deadlines that a step may find due: more than the gates and stages of any run. */
const mostDue = 500;

export interface CourseBasis {
  readonly plan: Plan;
  readonly kit: Kit;
  /** The store's time, not that of this worker's clock. */
  readonly time: string;
  readonly onInternalError: OnInternalError;
}

/** What a step amounts to: the state after it, and all that is to be written. */
export interface Course {
  readonly after: RunState;
  readonly effects: readonly Effect[];
  readonly facts: readonly Fact[];
  readonly actions: EventResult['actions'];
  readonly taken: readonly TakenMessage[];
  readonly arrived: readonly ArrivedValue[];
}

/**
 * Takes messages from the store without waiting for their bells, and gives how many there were. A message that cannot be read is
 * refused, and does not undo the rest of the step.
 */
export async function takeUnrung(
  deps: ActivityDeps,
  tx: Tx,
  row: RunRow,
  course: Pick<OpenCourse, 'take' | 'takenIds' | 'isClosed'>,
  kind: 'decide' | null,
): Promise<number> {
  const waiting = await lockUntaken(tx, row.id, { kind, except: course.takenIds(), limit: mostWaiting });
  const turn = makeTurns();
  for (const each of await readEachOrRefuse(deps, tx, row, waiting, course.isClosed)) {
    course.take(each);
    await turn();
  }
  return waiting.length;
}

export interface OpenCourse {
  take(incoming: Incoming): void;
  /** Decides every deadline that is due by now. */
  takeDue(): void;
  decide(event: Event): EventResult;
  takenIds(): readonly string[];
  isClosed(): boolean;
  finish(): Course;
}

/**
 * Decides the events of one step, one at a time, each on the state that the event before has left. Where the engine fails over
 * an event, its sender is refused and `onInternalError` is called. Two kinds of events have nobody to refuse, so the step throws
 * and is given up in the end: time, which would come again for ever, and a start, whose run would count as begun.
 */
export function beginCourse(
  { plan, kit, time, onInternalError }: CourseBasis,
  first: RunState,
  rev: number,
  from = '',
): OpenCourse {
  let after = first;
  let count = 0;
  const effects: Effect[] = [];
  const facts: Fact[] = [];
  const actions: EventResult['actions'][number][] = [];
  const taken: TakenMessage[] = [];
  const arrived: ArrivedValue[] = [];
  const decideOn = (event: Event): EventResult => {
    const decision = decide(plan, after, event, kit, `s${rev}.${from}${count}`);
    const { failure } = decision;
    if (failure !== undefined) {
      if (!isRefusable(event)) throw failure;
      onInternalError(`an event of run \`${first.run}\` (${eventNameOf(event)}), which is refused`, failure);
    }
    count += 1;
    facts.push(...decision.trace);
    after = decision.state;
    effects.push(...decision.effects);
    actions.push(...decision.actions);
    return decision;
  };
  return {
    take: (incoming) => {
      if (incoming.taken !== null) taken.push(incoming.taken);
      if (incoming.answer !== null)
        effects.push({ kind: 'answer', messageId: incoming.answer.id, answer: incoming.answer.said });
      arrived.push(...incoming.values);
      facts.push(...(incoming.facts?.(after) ?? []));
      const event = incoming.event(time);
      if (event !== null) decideOn(event);
    },
    takeDue: () => {
      let last: string | null = null;
      for (let left = mostDue; left > 0; left -= 1) {
        const event = dueEvent(after, time);
        if (event === null) return;
        const moment = momentOf(after, event);
        // Otherwise its timer would fire for ever.
        if (moment === last) throw new Error(`what is due stays due, and nothing comes of it: ${moment}`);
        last = moment;
        decideOn(event);
      }
    },
    decide: decideOn,
    takenIds: () => taken.map(({ id }) => id),
    isClosed: () => closedStatuses.includes(after.status),
    finish: () => ({ after, effects, facts, actions, taken, arrived }),
  };
}

function isRefusable(event: Event): boolean {
  if (event.kind === 'message') return event.message.body.kind !== 'start';
  return event.kind === 'refused_message' || event.kind === 'outcome';
}

function eventNameOf(event: Event): string {
  return event.kind === 'message' ? event.message.body.kind : event.kind;
}

/** Identifies what is due: the approval, the time of its timer, and the state of its gates. */
function momentOf({ approvals }: RunState, event: Event): string {
  if (event.kind !== 'deadline') return event.kind;
  const stands = approvals.flatMap(({ id, timer, gates }) =>
    id === event.approval ? [{ timer, gates }] : [],
  );
  return `${event.approval} ${canonical(stands)}`;
}
