import { record, type Draft } from '../run/draft.js';
import { revokeOpen } from '../gates/changes.js';
import { labelIn } from './key-label.js';
import type { Problem, RunState } from '../state.js';

// What a run is stuck on that may have happened, or has happened and is written nowhere: until a person has said what
// became of it, time moves the run nowhere. Where the run ends all the same its end says so, and of what else is in doubt.

/** What is in doubt; null: nothing. */
export function whyInDoubt({ stuckOn, state }: Pick<RunState, 'stuckOn' | 'state'>): string | null {
  switch (stuckOn?.kind) {
    case 'action':
      return unknownWhether(stuckOn.action.transition);
    case 'onEnter':
      return stuckOn.unknown === true ? unknownWhether(`onEnter:${state}`) : null;
    case 'done':
      return `\`${stuckOn.transition}\` was done, and what it writes is not kept`;
    default:
      return null;
  }
}

function unknownWhether(name: string): string {
  return `whether \`${name}\` was done is not known`;
}

type Left = Pick<RunState, 'stuckOn' | 'state' | 'problem' | 'doubts'>;

/**
 * The problem of a run that ends, whatever ends it, while something of it is in doubt: what it is stuck on, and what a
 * caller was told of and the run has gone on after. Null: nothing is.
 */
export function problemAtEnd(run: Left): Problem | null {
  const doubt = whyInDoubt(run);
  const others = otherDoubts(run);
  const code = 'EXECUTOR_UNKNOWN';
  if (doubt === null) {
    if (others === null) return null;
    const message = `the run has ended, and ${others}: it failed, and may have happened all the same`;
    return { code, message, errorClass: 'unknown_outcome' };
  }
  const known = run.problem ?? { code, message: 'its problem is not kept' };
  const more = others === null ? '' : `; nor is known ${others.replace(/ is not known$/u, '')}`;
  return { ...known, message: `the run has ended, and ${doubt}: ${known.message}${more}` };
}

const mostNames = 10;

/** Of what the run is not stuck on. */
function otherDoubts({ doubts = [], stuckOn }: Left): string | null {
  const own = keyOf(stuckOn);
  const names = [...new Set(doubts.filter((key) => key !== own).map(labelIn))];
  if (names.length === 0) return null;
  const more = names.length - mostNames;
  const listed = names
    .slice(0, mostNames)
    .map((name) => `\`${name}\``)
    .join(', ');
  return `whether ${listed}${more > 0 ? ` and ${more} more` : ''} was done is not known`;
}

function keyOf(stuckOn: RunState['stuckOn']): string | undefined {
  if (stuckOn?.kind === 'action') return stuckOn.action.idempotencyKey;
  return stuckOn?.kind === 'onEnter' ? stuckOn.again?.idempotencyKey : undefined;
}

/** The run's time is up, and it moves only when a person has said what happened: by a retry, or by a cancel. */
export function waitForPerson(draft: Draft, doubt: string, target: string): void {
  const { run } = draft;
  const next = `the run's time is up, and ${doubt}: a retry by a person, then the run moves to \`${target}\`, or a cancel`;
  if (run.overdue !== true) record(draft, 'timeout.fired', { data: { state: run.state, waits: next } });
  run.overdue = true;
  if (run.problem !== null) run.problem = { ...run.problem, message: `${run.problem.message}; ${next}` };
  revokeOpen(draft, "the run's time is up", ({ repeats }) => repeats !== true);
}
