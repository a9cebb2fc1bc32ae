import { z } from 'zod';
import { bodyOf, type FoundApproval } from './approval-body.js';
import type { Call, Reply } from './call.js';
import { approvalHtml, decisionForm } from './page-approval.js';
import { html, page, problemPage } from './page-html.js';
import type { SignedIn } from './page-session.js';
import { isBlank } from '../model/text.js';

// What the pages that decide have in common: the form, the page around it, and what it says afterwards.

export const decisionFields = z.strictObject({
  decision: z.enum(['approve', 'deny']),
  digest: z.string().max(200),
  token: z.string().max(200),
  reason: z.string().max(10_000).default(''),
});
export type DecisionFields = z.output<typeof decisionFields>;

export async function approvalPage(
  call: Call,
  found: FoundApproval,
  who: SignedIn,
  action: string,
): Promise<Reply> {
  const { row, state } = found;
  const open = row.status === 'open' || row.status === 'escalated';
  const token = call.deps.sessions.formToken(who.session, `${row.id}:${row.digest}`);
  const form = open
    ? decisionForm(action, row.digest, token, state?.gate.reason === 'required')
    : html`<p>This approval is ${row.status}: there is nothing left to decide.</p>`;
  const shown = approvalHtml(await bodyOf(call.deps, found));
  return page(
    200,
    'Approval',
    html`${shown}${form}
      <form method="post" action="/sign-out">
        <p>Signed in as ${who.principal.id}. <button>Sign out</button></p>
      </form>`,
  );
}

export function fields({ decision, digest, reason }: DecisionFields): {
  decision: 'approve' | 'deny';
  digest: string;
  reason?: string;
} {
  return { decision, digest, ...(isBlank(reason) ? {} : { reason }) };
}

export function decided(reply: Reply, { decision }: DecisionFields): Reply {
  if (reply.kind === 'problem') return problemPage(reply);
  const now = reply.kind === 'answer' && reply.status === 200;
  const word = decision === 'approve' ? 'approved' : 'denied';
  return page(
    now ? 200 : 202,
    'Decided',
    now
      ? html`<h1>You have ${word} this.</h1>
          <p>The run has taken your decision.</p>`
      : html`<h1>Your decision is kept: ${word}.</h1>
          <p>The run takes it as soon as it can be reached.</p>`,
  );
}
