import * as api from '../../model/api.js';
import type { Principal } from '../../model/principal.js';
import { listInbox } from '../../service/inbox/inbox.js';
import type { Refusal } from '../../service/refusal.js';
import { callerOf, type Call, type Page } from '../http/call.js';
import { html, page, signOutForm } from './html.js';

// Whoever signs in without a page that asked for it reads who they are, and where their approvals stand.

const mostShown = 20;

export async function waitingPage(call: Call, { id }: Principal): Promise<Page | Refusal> {
  const query = api.approvalsQuery.parse({ status: 'open', mine: 'true', limit: String(mostShown) });
  const inbox = await listInbox(callerOf(call), query);
  if (inbox.kind === 'refusal') return inbox;
  const hasMore = inbox.nextCursor !== null;
  const rows = inbox.data.map(
    (one) => html`<li><a href="/approvals/${String(one['id'])}">${String(one['summary'])}</a></li>`,
  );
  return page(
    200,
    'Signed in',
    html`<h1>You are signed in as ${id}.</h1>
      ${
        rows.length === 0
          ? html`<p>
              No approval waits for you. Each has its own page: open the address that you were sent.
            </p>`
          : html`<p>These approvals wait for you:</p>
              <ul>
                ${rows}
              </ul>`
      }
      ${hasMore ? html`<p>There are more: <code>GET /v1/approvals?mine=true</code> lists all of them.</p>` : ''}
      ${signOutForm(id)}`,
  );
}
