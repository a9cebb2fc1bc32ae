import { z } from 'zod';
import { longText } from '../../model/contract/api.js';
import type { ApprovalJson } from '../../model/contract/answer-types.js';
import { errorTable, type ErrorCode } from '../../model/contract/errors.js';
import type { DecisionDoor } from '../../model/message.js';
import type { Principal } from '../../model/principal.js';
import { bodyOf } from '../../service/approvals/body/body.js';
import { readProgress, readOwnDecision } from '../../service/approvals/course.js';
import { decide, type Decided } from '../../service/approvals/decide.js';
import { readQueueKit, requiredReasons } from '../../service/approvals/judge.js';
import { visibleApproval, isUndecided, type FoundApproval } from '../../service/approvals/look.js';
import { callerOf, principalOf, type Call, type Page } from '../http/call.js';
import { credentialEnded, type Refusal } from '../../service/refusal.js';
import { approvalHtml, decisionForm, signInFirst, type AskedDecision } from './approval.js';
import { endingPage } from './ending.js';
import { endingText } from './ending-text.js';
import { html, page, signOutForm, type Html } from './html.js';
import type { SignedIn } from './session.js';

// What the pages that decide share: the form, the page around it, and the page after the decision.

export const decisionFields = z.strictObject({
  // Absent: no button was chosen (Enter in a field, or a program that sends the form).
  decision: z.enum(['approve', 'deny']).optional(),
  digest: z.string().max(200),
  token: z.string().max(200),
  // A browser counts the end of a line as one character, but sends two.
  reason: z
    .string()
    .transform((given) => given.replaceAll('\r\n', '\n'))
    .pipe(longText)
    .default(''),
});
export type DecisionFields = z.output<typeof decisionFields>;
/** A form of which a button was chosen. */
export type ChosenFields = DecisionFields & { readonly decision: 'approve' | 'deny' };

export function isChosen(body: DecisionFields): body is ChosenFields {
  return body.decision !== undefined;
}

export const decidedOnPage = {
  200: { description: 'the run has taken the decision', media: 'text/html' },
  202: { description: 'durable, and not yet applied', media: 'text/html' },
} as const;

/** A form that has decided nothing: why, and the reason as it was typed. Its page is shown again. */
export interface Unmade {
  readonly code: ErrorCode;
  /** Null: no button was chosen. */
  readonly why: string | null;
  readonly reason: string;
}

/** What comes of a form of which no button was chosen. */
export function noneChosen({ reason }: DecisionFields): Unmade {
  return { code: 'REQUEST_INVALID', why: null, reason };
}

/** `unmade`: what was sent by the same page before; null: nothing. */
export async function approvalPage(
  call: Call,
  found: FoundApproval,
  who: SignedIn,
  action: string,
  unmade: Unmade | null,
): Promise<Page> {
  const { row } = found;
  const token = call.deps.sessions.formToken(who.session, `${row.id}:${row.digest}`);
  const { shown, verbs } = await renderApproval(call, found, who.principal, (asked) =>
    decisionForm(action, row.digest, token, asked, unmade?.reason ?? ''),
  );
  return formPage({ shown: html`${shown}${signOutForm(who.principal.id)}`, verbs }, unmade);
}

export function formPage({ shown, verbs }: RenderedApproval, unmade: Unmade | null): Page {
  if (unmade === null) return page(200, 'Approval', shown);
  const { code, why } = unmade;
  const again = html`<p class="warn">Nothing was decided: ${why ?? chooseText(verbs)}.</p>
    ${shown}`;
  return { ...page(errorTable[code].status, 'Approval', again), code };
}

/** What there is to choose, for who has chosen nothing. */
function chooseText(verbs: RenderedApproval['verbs']): string {
  const names = verbs.map((verb) => ({ approve: 'Approve', deny: 'Deny' })[verb]);
  return names.length === 0 ? 'there is nothing to choose any more' : `choose ${names.join(' or ')}`;
}

/** Whether the form comes from a page of this session that shows this action. */
export function isFormOf(
  { deps }: Call,
  { session }: SignedIn,
  approval: string,
  { digest, token }: DecisionFields,
): boolean {
  return deps.sessions.formTokenHolds(session, `${approval}:${digest}`, token);
}

interface RenderedApproval {
  readonly shown: Html;
  /** What the reader may choose. */
  readonly verbs: NonNullable<ApprovalJson['may']>['verbs'];
}

/** The approval, and below it the form of `below`; or why this reader cannot decide now. */
export async function renderApproval(
  call: Call,
  found: FoundApproval,
  reader: Principal,
  below: (asked: AskedDecision) => Html,
): Promise<RenderedApproval> {
  const body = await bodyOf(call.deps, found, reader);
  const why = body.may?.message ?? 'you may not decide it';
  const { progress, error } = await readProgress(call.deps, found);
  const isOpen = isUndecided(found);
  const verbs = body.may?.verbs ?? [];
  const mayApprove = verbs.includes('approve');
  const reasons = requiredReasons({ state: found.state, kit: await readQueueKit(call.deps) }, reader);
  const heldUp = html`<p class="warn">
    Its run is stuck: what is approved here does not run before an operator has the run go on.
  </p>`;
  const onlyDenied = html`<p class="warn">Cannot be approved: ${why}.</p>`;
  const ending = html`<p>${endingText(progress)}${error === null ? '' : ` ${error}`}</p>`;
  const shown = html`${await approvalHtml(body, isOpen)}${isOpen && progress.isHeldUp ? heldUp : html``}${body.may?.decide === true ? html`${mayApprove ? '' : onlyDenied}${below({ ...reasons, mayApprove })}` : html`<p>Nothing to decide here: ${why}.</p>`}${isOpen ? html`` : ending}`;
  return { shown, verbs };
}

type ShowAgain = (found: FoundApproval, unmade: Unmade) => Promise<Page>;

/** `refused`: this form has decided nothing. The person may have decided before, which the reply then says. */
export async function decideByForm(
  call: Call,
  found: FoundApproval,
  body: ChosenFields,
  via: DecisionDoor,
  showAgain: ShowAgain,
): Promise<{ readonly reply: Page | Refusal; readonly refused: boolean }> {
  const made = await decide(callerOf(call), found, body, { via });
  if (made.kind !== 'refusal') return { reply: decidedPage(made, body), refused: false };
  return { reply: await showUnmade(call, found.row.id, body, made, showAgain), refused: true };
}

/** What the caller has decided before, or the approval again as it is now; the refusal where it holds only for a while. */
async function showUnmade(
  call: Call,
  approval: string,
  { decision, reason }: ChosenFields,
  refused: Refusal,
  showAgain: ShowAgain,
): Promise<Page | Refusal> {
  const found = await visibleApproval(callerOf(call), approval);
  if (found.kind === 'refusal') return (await whyOver(call, approval, refused)) ?? refused;
  const own = await readOwnDecision(call.deps, found.row.id, principalOf(call));
  if (own !== null) return endingPage(call, found, own, decision);
  const { code, detail, retryAfter } = refused;
  if (retryAfter !== null) return (await whyOver(call, approval, refused)) ?? refused;
  const why = code === 'REASON_REQUIRED' ? 'this gate asks for a reason: write why' : detail;
  return showAgain(found, { code, why, reason });
}

/** The sign-in for whoever has no valid credential by now, so that another try comes to the same; null: they have. */
async function whyOver({ credential }: Call, approval: string, { detail }: Refusal): Promise<Page | null> {
  if (credential === null || (await credential.readNow()) !== null) return null;
  return signInFirst(`/approvals/${approval}`, `${toSentence(credentialEnded)}: ${detail}.`);
}

const toSentence = (text: string): string => text.charAt(0).toUpperCase() + text.slice(1);

function decidedPage({ kind }: Decided, { decision }: ChosenFields): Page {
  const now = kind === 'applied';
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
