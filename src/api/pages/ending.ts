import { courseOf } from '../../service/approvals/course.js';
import { verdict } from '../../service/approvals/judge.js';
import type { Approval } from '../../service/approvals/look.js';
import type { DecisionRow } from '../../store/decisions.js';
import type { Call, Page } from '../http/call.js';
import { endingText } from './ending-text.js';
import { html, page } from './html.js';

// Whoever has decided and comes again (a second click, the back button, a link that is used) reads what they have decided, and
// what came of it. Nothing of the action itself is shown here.

/** `wanted`: what they ask for now. Another decision than theirs is not taken, and the page says so. */
export async function endingPage(
  call: Call,
  found: Approval,
  own: DecisionRow,
  wanted: DecisionRow['decision'] | null,
): Promise<Page> {
  const isOther = wanted !== null && wanted !== own.decision;
  const isKept = own.status === 'accepted';
  const ending = isKept
    ? 'The run takes it as soon as it can be reached.'
    : endingText((await courseOf(call.deps, found)).course);
  const title = `You have ${verdict[own.decision]} this${isOther ? ' before' : ''}.`;
  const refused = isOther ? ' A decision is made once: this one was not taken.' : '';
  const ended = page(
    isOther ? 409 : isKept ? 202 : 200,
    'Decided',
    html`<h1>${title}</h1>
      <p>It was at ${own.at}.${refused}</p>
      <p>${ending}</p>`,
  );
  return isOther ? { ...ended, code: 'ALREADY_DECIDED' } : ended;
}
