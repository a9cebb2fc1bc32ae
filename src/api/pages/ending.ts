import { isHalted } from '../../engine/index.js';
import type { Principal } from '../../model/principal.js';
import { getAction, listAttempts, type AttemptRow } from '../../store/actions.js';
import { decisionsOf, type DecisionRow } from '../../store/decisions.js';
import { getRun } from '../../store/runs.js';
import type { FoundApproval } from '../approvals/body.js';
import type { Answer, Call } from '../http/call.js';
import { ownDecision, verdict } from '../approvals/may-decide.js';
import { endingText, type Course } from './ending-text.js';
import { html, page } from './html.js';

// Whoever has decided and comes again (a second click, the back button, a link that is used) reads what they have decided, and
// what came of it. Nothing of the action itself is shown here.

export async function ownDecisionOn(
  call: Call,
  approval: string,
  person: Pick<Principal, 'id'>,
): Promise<DecisionRow | null> {
  return ownDecision(await decisionsOf(call.deps.pool, [approval]), person.id);
}

/** `wanted`: what they ask for now. Another decision than theirs is not taken, and the page says so. */
export async function endingPage(
  call: Call,
  found: FoundApproval,
  own: DecisionRow,
  wanted: DecisionRow['decision'] | null,
): Promise<Answer> {
  const isOther = wanted !== null && wanted !== own.decision;
  const isKept = own.status === 'accepted';
  const ending = isKept ? 'The run takes it as soon as it can be reached.' : await endingOf(call, found);
  const title = `You have ${verdict[own.decision]} this${isOther ? ' before' : ''}.`;
  const refused = isOther ? ' A decision is made once: this one was not taken.' : '';
  return page(
    isOther ? 409 : isKept ? 202 : 200,
    'Decided',
    html`<h1>${title}</h1>
      <p>It was at ${own.at}.${refused}</p>
      <p>${ending}</p>`,
  );
}

async function endingOf(call: Call, found: FoundApproval): Promise<string> {
  return endingText((await courseOf(call, found)).course);
}

/** How the approval, its action and its run stand now; with what the action's error says, for those who may see the run. */
export async function courseOf(
  call: Call,
  { row: { status, action: actionId, run: runId }, state }: Pick<FoundApproval, 'row' | 'state'>,
): Promise<{ readonly course: Course; readonly error: string | null }> {
  const { pool } = call.deps;
  const [action, attempts, run] = await Promise.all([
    getAction(pool, actionId),
    listAttempts(pool, actionId),
    getRun(pool, runId),
  ]);
  const course = {
    approval: status,
    action: action?.status ?? null,
    wasTried: triedBy(attempts),
    code: action?.error?.code ?? null,
    // What it is stuck on is done again as soon as that is approved, unless our own code has halted it.
    isHeldUp: run?.status === 'stuck' && (state?.repeats !== true || isHalted(run)),
  };
  return { course, error: action?.error?.message ?? null };
}

function triedBy(attempts: readonly AttemptRow[]): Course['wasTried'] {
  if (attempts.length === 0) return 'no';
  return attempts.some(({ effectPossible }) => effectPossible) ? 'maybe' : 'yes';
}
