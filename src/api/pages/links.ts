import { z } from 'zod';
import * as api from '../../model/api.js';
import { decisionErrors } from '../../model/errors.js';
import type { Principal } from '../../model/principal.js';
import { ownDecisionOn } from '../../service/approvals/course.js';
import { visibleApproval, type FoundApproval } from '../../service/approvals/look.js';
import {
  linkUsedAt,
  needsSignIn,
  openLink,
  releaseLink,
  useLink,
  type OpenedLink,
} from '../../service/approvals/opened-link.js';
import { noteView } from '../../service/approvals/seen.js';
import type { Refusal } from '../../service/refusal.js';
import type { DecisionRow } from '../../store/decisions.js';
import type { LinkRow } from '../../store/links.js';
import { callerOf, formBody, route, type Call, type Page, type Route } from '../http/call.js';
import { problem, type Problem } from '../contract/problem.js';
import { decisionForm, signInFirst, signInForm } from './approval.js';
import { endingPage } from './ending.js';
import { html, page } from './html.js';
import { hasGone } from '../http/record.js';
import {
  approvalPage,
  decideByForm,
  decidedOnPage,
  decisionFields,
  isFormOf,
  shownTo,
  type DecisionFields,
} from './deciding.js';
import { signedIn, type SignedIn } from './session.js';

// A link names one approval and one person. It is read as often as a scanner likes; a form decides, once. Used, it opens
// nothing but what its person has decided, and how that ended.

const params = z.object({ token: z.string().min(20).max(200) });
const spec = { tag: 'Pages', access: 'public', recorded: true, query: api.ignoredQuery, params } as const;

export const linkRoutes: readonly Route[] = [
  route({
    ...spec,
    id: 'linkPage',
    method: 'GET',
    path: '/links/{token}',
    summary: 'The exact action that a link is about. Reading it, however often, decides and uses up nothing',
    answers: { ...decidedOnPage, 200: { description: 'the page', media: 'text/html' } },
    errors: ['UNAUTHENTICATED', 'FORBIDDEN'],
    handle: (call, input) => show(call, input.params.token),
  }),
  route({
    ...spec,
    id: 'decideByLink',
    method: 'POST',
    path: '/links/{token}',
    summary: 'Decide once, as the person whom the link was made for',
    body: formBody(decisionFields),
    answers: decidedOnPage,
    errors: ['UNAUTHENTICATED', 'FORBIDDEN', ...decisionErrors],
    handle: (call, input) => decideByLink(call, input.params.token, input.body),
  }),
];

type Reader =
  | { readonly kind: 'signed-in'; readonly who: SignedIn }
  | { readonly kind: 'link'; readonly person: Principal };

/** The link's person, signed in or by the link alone; null: nobody may be shown anything yet. */
async function readerOf(call: Call, opened: OpenedLink): Promise<Reader | null> {
  const who = await signedIn(call);
  if (who !== null) return who.principal.id === opened.link.recipient ? { kind: 'signed-in', who } : null;
  return opened.person === null ? null : { kind: 'link', person: opened.person };
}

function personOf(reader: Reader): Principal {
  return reader.kind === 'link' ? reader.person : reader.who.principal;
}

const usedBefore = problem('FORBIDDEN', 'this link was used: ask for a new one');

/** How long a click waits for what the one before it does with the same link: the use of the link is not older, and so often it looks. */
const [looks, lookMs] = [50, 100];

/** What the person of a link that is used has decided; null: nothing, and the link may be good again. */
async function decidedByLink(
  call: Call,
  token: string,
  { row }: FoundApproval,
  person: Principal,
): Promise<DecisionRow | null> {
  for (let look = 1; ; look += 1) {
    const own = await ownDecisionOn(call.deps, row.id, person);
    if (own?.status === 'applied') return own;
    const usedAt = await linkUsedAt(call.deps, token);
    // Its looks are counted too, for the clock here may be behind the one that wrote when the link was used.
    if (usedAt === null || look >= looks || hasGone(call)) return own;
    if (call.deps.now().getTime() - Date.parse(usedAt) > looks * lookMs) return own;
    await new Promise((resolve) => setTimeout(resolve, lookMs));
  }
}

/** A link as it is at this moment, with its reader and what it is about. */
interface Opened {
  readonly kind: 'opened';
  readonly link: LinkRow;
  readonly reader: Reader;
  readonly found: FoundApproval;
}

async function openNow(call: Call, token: string): Promise<Opened | Page | Refusal> {
  const opened = await openLink(call.deps, token);
  if (opened.kind === 'refusal') return opened;
  const { link } = opened;
  const reader = await readerOf(call, opened);
  if (reader === null)
    return signInFirst(
      `/links/${token}`,
      call.request.method === 'POST' ? nothingDecided : `This link was made for ${link.recipient}.`,
    );
  // Seen with the rights of the link's person; the record of a mere reading names nobody, for a scanner reads too.
  const found = await visibleApproval(callerOf(call, personOf(reader)), link.approval);
  return found.kind === 'refusal' ? found : { kind: 'opened', link, reader, found };
}

const nothingDecided = 'Nothing was decided: sign in first.';

/** Nothing but what its person has decided, and its ending; null: nothing is decided by it, and it may be good again. */
async function usedPage(
  call: Call,
  token: string,
  { found, reader }: Opened,
  wanted: DecisionFields['decision'] | null,
): Promise<Page | Refusal | null> {
  const own = await decidedByLink(call, token, found, personOf(reader));
  if (own === null) return null;
  // That may have taken a while.
  const now = await openNow(call, token);
  if (now.kind !== 'opened') return now;
  // A form is its person's; whoever reads a link may be a scanner.
  call.principal = wanted === null && now.reader.kind === 'link' ? null : personOf(now.reader);
  return endingPage(call, now.found, own, wanted);
}

async function show(call: Call, token: string): Promise<Page | Problem | Refusal> {
  const opened = await openNow(call, token);
  if (opened.kind !== 'opened') return opened;
  const { link, reader, found } = opened;
  if (link.usedAt !== null) return (await usedPage(call, token, opened, null)) ?? usedBefore;
  const again = `/links/${token}`;
  if (reader.kind === 'signed-in') {
    call.principal = reader.who.principal;
    await noteView(callerOf(call), found);
    return approvalPage(call, found, reader.who, again);
  }
  const shown = await shownTo(call, found, reader.person, (asked) =>
    needsSignIn(found)
      ? signInForm(again, 'What would run cannot be undone: sign in before you decide.')
      : html`<p>Whoever decides here decides as ${link.recipient}, for whom this link was made.</p>
          ${decisionForm(again, found.row.digest, '', asked)}`,
  );
  return page(200, 'Approval', shown);
}

async function decideByLink(
  call: Call,
  token: string,
  body: DecisionFields,
): Promise<Page | Problem | Refusal> {
  let opened = await openNow(call, token);
  if (opened.kind === 'opened' && opened.link.usedAt !== null) {
    const told = await usedPage(call, token, opened, body.decision);
    if (told !== null) return told;
    // That has taken a while.
    opened = await openNow(call, token);
  }
  if (opened.kind !== 'opened') return opened;
  const { link, reader, found } = opened;
  if (reader.kind === 'link' && needsSignIn(found)) return signInFirst(`/links/${token}`, nothingDecided);
  call.principal = personOf(reader);
  if (reader.kind === 'signed-in' && !isFormOf(call, reader.who, link.approval, body))
    return problem(
      'FORBIDDEN',
      'nothing was decided: this form is not from a page of this session, or shows another action; open the link again',
    );
  if (!(await useLink(call.deps, link)))
    return (await usedPage(call, token, opened, body.decision)) ?? usedBefore;
  const decided = await decideByForm(call, found, body, 'link');
  if (decided.refused) await releaseLink(call.deps, link);
  return decided.reply;
}
