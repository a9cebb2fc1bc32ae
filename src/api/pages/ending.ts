import { readProgress } from '../../service/approvals/course.js';
import { verdict } from '../../service/approvals/judge.js';
import type { Approval } from '../../service/approvals/look.js';
import type { DecisionRow } from '../../store/approvals/decisions.js';
import type { Call, Page } from '../http/call.js';
import { endingText } from './ending-text.js';
import { html, page } from './html.js';

// A person who has decided and comes again (a second click, the back button, a used link) reads what they have decided, and what
// came of it. The action itself is not shown.

/**
 * `wanted`: what the person asks for now; null: they only look. If it differs from `own`, it is not taken, and the page says
 * so.
 */
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
    : endingText((await readProgress(call.deps, found)).progress);
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
