import { record, type Draft } from '../run/draft.js';
import { revokeOpen } from '../gates/changes.js';
import { labelIn } from './key-label.js';
import type { Problem, RunState } from '../state.js';

// A run may be stuck on an effect that is in doubt: it may have happened, or it has happened and is written nowhere. Until a
// person has said what became of it, no deadline moves the run. If the run ends all the same, its end says what is in doubt.

/** What is in doubt of the step that the run is stuck on, as part of a sentence; null: nothing. */
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
 * The problem of a run that ends, for whatever reason, while effects of it are in doubt: the step that it is stuck on, and
 * earlier ones, of which a caller was told and after which the run went on. Null: nothing is in doubt.
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

/** What is in doubt besides the step that the run is stuck on, as part of a sentence; null: nothing. */
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

/** The run's time is up, and something is in doubt: the run moves once a person has said what happened, by a retry or a cancel. */
export function waitForPerson(draft: Draft, doubt: string, target: string): void {
  const { run } = draft;
  const next = `the run's time is up, and ${doubt}: a retry by a person, then the run moves to \`${target}\`, or a cancel`;
  if (run.overdue !== true) record(draft, 'timeout.fired', { data: { state: run.state, waits: next } });
  run.overdue = true;
  if (run.problem !== null) run.problem = { ...run.problem, message: `${run.problem.message}; ${next}` };
  revokeOpen(draft, "the run's time is up", ({ repeats }) => repeats !== true);
}
