import type { ApprovalJson } from '../../model/contract/answer-types.js';
import * as api from '../../model/contract/api.js';
import type { Principal } from '../../model/principal.js';
import { listInbox } from '../../service/inbox/inbox.js';
import type { Refusal } from '../../service/refusal.js';
import { callerOf, type Call, type Page } from '../http/call.js';
import { html, page, signOutForm, type Html } from './html.js';

// Whoever signs in without having been sent from another page reads who they are, and which approvals wait for them.

const mostShown = 20;
/** A page of the inbox may be empty while more follow: so how many pages are read at most. */
const mostPages = 5;

export async function waitingPage(call: Call, { id }: Principal): Promise<Page | Refusal> {
  const found: ApprovalJson[] = [];
  let cursor: string | null = null;
  for (let pages = 0; pages < mostPages && found.length < mostShown; pages += 1) {
    const asked = { status: 'open', mine: 'true', limit: String(mostShown - found.length) };
    const query = api.approvalsQuery.parse(cursor === null ? asked : { ...asked, cursor });
    const inbox = await listInbox(callerOf(call), query);
    if (inbox.kind === 'refusal') return inbox;
    found.push(...inbox.data);
    cursor = inbox.nextCursor;
    if (cursor === null) break;
  }
  return page(
    200,
    'Signed in',
    html`<h1>You are signed in as ${id}.</h1>
      ${waitingHtml(found, cursor)} ${signOutForm(id)}`,
  );
}

/** `cursor`: where the list goes on; null: it was read to its end. */
export function waitingHtml(found: readonly ApprovalJson[], cursor: string | null): Html {
  const all = html`<code>GET /v1/approvals?mine=true</code>`;
  if (found.length > 0)
    return html`<p>These approvals wait for you:</p>
      <ul>
        ${found.map((approval) => html`<li><a href="/approvals/${approval.id}">${approval.summary}</a></li>`)}
      </ul>
      ${cursor === null ? '' : html`<p>There may be more: ${all} lists all of them.</p>`}`;
  return cursor === null
    ? html`<p>No approval waits for you. Each has its own page: open the address that you were sent.</p>`
    : html`<p>
        None of the first approvals that wait is for you to decide, and others stand behind them: open the
        address that you were sent, or list all that wait for you with ${all}.
      </p>`;
}
