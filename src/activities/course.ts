import {
  closedStatuses,
  type Decision,
  type Effect,
  type Event,
  type Kit,
  type RunState,
} from '../engine/state.js';
import type { Plan } from '../engine/plan.js';
import { decide, dueEvent } from '../engine/index.js';
import type { Fact } from '../model/records.js';
import type { Tx } from '../db/index.js';
import { mostWaiting } from '../model/limits.js';
import { lockUntaken } from '../store/messages.js';
import type { RunRow } from '../store/runs.js';
import { readEachAnyhow, type Incoming } from './arrivals.js';
import type { ActivityDeps } from './deps.js';
import type { ArrivedValue } from './document.js';
import type { Taken } from './persist.js';

/** Deadlines that one step may find due: more than any run has gates and stages. */
const mostDue = 500;

/** What one step comes to. */
export interface Course {
  readonly after: RunState;
  readonly effects: readonly Effect[];
  readonly facts: readonly Fact[];
  readonly actions: Decision['actions'];
  readonly taken: readonly Taken[];
  readonly arrived: readonly ArrivedValue[];
}

/**
 * Takes messages of the store that were not rung for. Gives how many there were. None of them can undo what the step came
 * to besides: one that cannot be read is refused.
 */
export async function sweep(
  deps: ActivityDeps,
  tx: Tx,
  row: RunRow,
  course: Pick<OpenCourse, 'take' | 'takenIds'>,
  kind: 'decide' | null,
): Promise<number> {
  const waiting = await lockUntaken(tx, row.id, { kind, except: course.takenIds(), limit: mostWaiting });
  const read = await readEachAnyhow(deps, tx, row, waiting);
  for (const each of read) course.take(each);
  return read.length;
}

export interface OpenCourse {
  take(incoming: Incoming): void;
  /** Whatever time has to say by now. */
  takeDue(): void;
  decide(event: Event): Decision;
  takenIds(): readonly string[];
  isClosed(): boolean;
  done(): Course;
}

/**
 * The events of one step, one after the other: each decided on what the one before left. `time` is the store's, whatever
 * the clock of this worker says.
 */
export function beginCourse(
  { plan, kit, time }: { readonly plan: Plan; readonly kit: Kit; readonly time: string },
  first: RunState,
  rev: number,
  from = '',
): OpenCourse {
  let after = first;
  let count = 0;
  const effects: Effect[] = [];
  const facts: Fact[] = [];
  const actions: Decision['actions'][number][] = [];
  const taken: Taken[] = [];
  const arrived: ArrivedValue[] = [];
  const decideOn = (event: Event): Decision => {
    const decision = decide(plan, after, event, kit, `s${rev}.${from}${count}`);
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
        const moment = momentOf(after, event);
        // What comes again as it was has nothing to say.
        if (event === null || moment === last) return;
        last = moment;
        const before = after;
        decideOn(event);
        if (after === before) return;
      }
    },
    decide: decideOn,
    takenIds: () => taken.map(({ id }) => id),
    isClosed: () => closedStatuses.includes(after.status),
    done: () => ({ after, effects, facts, actions, taken, arrived }),
  };
}

/** Of what is due: whose it is, and for when its timer stands. */
function momentOf({ approvals }: RunState, event: Event | null): string {
  if (event?.kind !== 'deadline') return event?.kind ?? '';
  const timers = approvals.flatMap(({ id, timer }) => (id === event.approval ? [timer] : []));
  return `${event.approval} ${timers.join(' ')}`;
}
