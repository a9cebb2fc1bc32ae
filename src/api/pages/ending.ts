import type { Principal } from '../../model/principal.js';
import { getAction } from '../../store/actions.js';
import { decisionsOf, type DecisionRow } from '../../store/decisions.js';
import type { FoundApproval } from '../approvals/body.js';
import { isOpen } from '../approvals/words.js';
import type { Answer, Call } from '../http/call.js';
import { ownDecision, verdict } from '../approvals/may-decide.js';
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

async function endingOf(call: Call, { row }: FoundApproval): Promise<string> {
  if (isOpen(row.status)) return 'The run has taken your decision, and waits for others.';
  switch (row.status) {
    case 'denied':
      return 'It is denied: nothing of it runs.';
    case 'expired':
      return 'Not all who were asked have decided in time: nothing of it runs.';
    case 'revoked':
      return 'It was revoked since: nothing of it runs.';
  }
  const action = await getAction(call.deps.pool, row.action);
  switch (action?.status) {
    case 'executed':
      return 'It is approved, and has run.';
    case 'failed':
      return 'It is approved, and running it failed: the run says why.';
    case 'unknown':
      return 'It is approved, and nobody knows yet whether it has happened: a person has to look.';
    case 'denied':
    case 'expired':
    case 'revoked':
      return `It was approved, and is ${action.status} since: nothing of it runs.`;
  }
  return 'It is approved, and runs.';
}
