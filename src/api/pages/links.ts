import { z } from 'zod';
import * as api from '../../model/contract/api.js';
import { decisionErrors } from '../../model/contract/errors.js';
import type { Principal } from '../../model/principal.js';
import { readOwnDecision } from '../../service/approvals/course.js';
import { visibleApproval, type FoundApproval } from '../../service/approvals/look.js';
import {
  findDecider,
  findReader,
  linkUsedAt,
  openLink,
  releaseLink,
  signInReason,
  useLink,
  type OpenedLink,
} from '../../service/approvals/links/opened-link.js';
import type { Refusal } from '../../service/refusal.js';
import type { DecisionRow } from '../../store/approvals/decisions.js';
import type { LinkRow } from '../../store/approvals/links.js';
import { callerOf, formBody, isSame, route, type Call, type Page, type Route } from '../http/call.js';
import { isFetchedAhead, noteOpened } from '../http/opened.js';
import { problem, type Problem } from '../contract/problem.js';
import { decisionForm, signInFirst, signInForm, tickMine } from './approval.js';
import { endingPage } from './ending.js';
import { html, notAhead } from './html.js';
import { hasGone } from '../http/record.js';
import {
  approvalPage,
  decideByForm,
  decidedOnPage,
  decisionFields,
  formPage,
  isFormOf,
  renderApproval,
  isChosen,
  noneChosen,
  type ChosenFields,
  type Unmade,
} from './deciding.js';
import { readSignIn, type SignedIn } from './session.js';

// A link names an approval and a person. It may be read as often as a mail scanner likes; its form decides once, and nothing as
// it is served, since some scanners send the forms that they find. Once used, it only shows what its person has decided, and what
// came of it.

const params = z.object({ token: z.string().min(20).max(200) });
/** `mine`: the sender has ticked that they decide themselves. Whoever is signed in is not asked. */
const linkFields = decisionFields.extend({ mine: z.literal('yes').optional() });
type LinkFields = z.output<typeof linkFields>;

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
    handle: (call, input) => showLink(call, input.params.token),
  }),
  route({
    ...spec,
    id: 'decideByLink',
    method: 'POST',
    path: '/links/{token}',
    summary: 'Decide once, as the person whom the link was made for',
    body: formBody(linkFields),
    answers: decidedOnPage,
    errors: ['UNAUTHENTICATED', 'FORBIDDEN', ...decisionErrors],
    handle: (call, input) => decideByLink(call, input.params.token, input.body),
  }),
];

type LinkReader =
  | { readonly kind: 'signed-in'; readonly who: SignedIn }
  | { readonly kind: 'link'; readonly person: Principal };

/** Nothing may be shown before the link's person signs in. `as`: somebody else who is signed in. */
interface NoReader {
  readonly kind: 'none';
  readonly as: string | null;
}

/** The link's person, signed in or known by the link alone. */
async function readerOf(call: Call, { link, person }: OpenedLink): Promise<LinkReader | NoReader> {
  const who = await readSignIn(call);
  if (who !== null)
    return who.principal.id === link.recipient
      ? { kind: 'signed-in', who }
      : { kind: 'none', as: who.principal.id };
  return person === null ? { kind: 'none', as: null } : { kind: 'link', person };
}

/** Whether a program that sends the forms of a page as they are served would have sent this, too. */
function isAsServed({ kind }: LinkReader, { mine }: Pick<LinkFields, 'mine'>): boolean {
  return kind === 'link' && mine === undefined;
}

function personOf(reader: LinkReader): Principal {
  return reader.kind === 'link' ? reader.person : reader.who.principal;
}

const usedLink = problem(
  'FORBIDDEN',
  'this link was used just now, and nothing is decided yet: open it again in some minutes, or ask for a new one',
);

/**
 * A second click waits for what the first does with the same link: it looks at most `looks` times, `lookMs` apart, and not
 * beyond `looks * lookMs` after the use.
 */
const [looks, lookMs] = [50, 100];

/** Waits for what the person of a used link has decided; null: nothing, and the link may be good again. */
async function awaitOwnDecision(
  call: Call,
  token: string,
  { row }: FoundApproval,
  person: Principal,
): Promise<DecisionRow | null> {
  for (let look = 1; ; look += 1) {
    const own = await readOwnDecision(call.deps, row.id, person);
    if (own?.status === 'applied') return own;
    const usedAt = await linkUsedAt(call.deps, token);
    // The looks are counted besides the time, since this clock may be behind the clock that noted when the link was used.
    if (usedAt === null || look >= looks || hasGone(call)) return own;
    if (call.deps.now().getTime() - Date.parse(usedAt) > looks * lookMs) return own;
    await new Promise((resolve) => setTimeout(resolve, lookMs));
  }
}

/** A link as it is now, with its address, its reader and its approval. */
interface OpenedFor {
  readonly kind: 'opened';
  /** When it began to be read, by `performance.now()`. */
  readonly readAt: number;
  readonly path: string;
  readonly link: LinkRow;
  readonly reader: LinkReader;
  readonly found: FoundApproval;
}

async function openNow(call: Call, token: string): Promise<OpenedFor | Page | Refusal> {
  const readAt = performance.now();
  const opened = await openLink(call.deps, token);
  if (opened.kind === 'refusal') return opened;
  const { link } = opened;
  const path = `/links/${token}`;
  const reader = await readerOf(call, opened);
  // A sign-in has its own credential (`readSignIn`).
  if (reader.kind === 'link') holdLink(call, readAt, () => findReader(call.deps, token), reader.person);
  if (reader.kind === 'none') {
    const sent = call.request.method === 'POST' ? nothingDecided : '';
    const as = reader.as === null ? '' : `, and you are signed in as ${reader.as}`;
    return signInFirst(
      path,
      `${sent}This link was made for ${link.recipient}${as}: sign in as ${link.recipient}.`,
    );
  }
  // Looked up with the rights of the link's person. Who reads is not put on record, since a scanner reads, too.
  const found = await visibleApproval(callerOf(call, personOf(reader)), link.approval);
  return found.kind === 'refusal' ? found : { kind: 'opened', readAt, path, link, reader, found };
}

/** Lets the call be of whom the link was made for, as long as `find` gives them with the rights of `person`. */
function holdLink(
  call: Call,
  readAt: number,
  find: () => Promise<Principal | null>,
  person: Principal,
): void {
  const readNow = async (): Promise<Principal | null> => {
    const now = await find();
    return now !== null && isSame(now, person) ? now : null;
  };
  call.credential = { readAt, readNow, isLink: true };
}

const nothingDecided = 'Nothing was decided. ';

/**
 * The page of a used link: what its person has decided, and what came of it; null: nothing is decided, and it may be good
 * again.
 */
async function pageOfUsedLink(
  call: Call,
  token: string,
  { found, reader }: OpenedFor,
  wanted: ChosenFields['decision'] | null,
): Promise<Page | Refusal | null> {
  const own = await awaitOwnDecision(call, token, found, personOf(reader));
  if (own === null) return null;
  // The waiting may have taken a while: the link is opened again with the rights of now.
  const now = await openNow(call, token);
  if (now.kind !== 'opened') return now;
  // A form was sent by the link's person; whoever only reads may be a scanner, and is not put on record.
  call.principal = wanted === null && now.reader.kind === 'link' ? null : personOf(now.reader);
  return endingPage(call, now.found, own, wanted);
}

async function showLink(call: Call, token: string): Promise<Page | Problem | Refusal> {
  if (isFetchedAhead(call)) return notAhead;
  const opened = await openNow(call, token);
  if (opened.kind !== 'opened') return opened;
  const { link, reader, found } = opened;
  if (link.usedAt !== null) return (await pageOfUsedLink(call, token, opened, null)) ?? usedLink;
  if (reader.kind === 'signed-in') {
    call.principal = reader.who.principal;
    await noteOpened(call, found);
  }
  return linkPage(call, opened, null);
}

const signInSentence = {
  irreversible: 'What would run cannot be undone: sign in before you decide.',
  no_tier: 'Nobody has said whether what would run can be undone: sign in before you decide.',
  direct: 'This gate takes no decision by a link alone: sign in before you decide.',
} as const;

async function linkPage(
  call: Call,
  { path, link, reader, found }: OpenedFor,
  unmade: Unmade | null,
): Promise<Page> {
  if (reader.kind === 'signed-in') return approvalPage(call, found, reader.who, path, unmade);
  const why = signInReason(found);
  const rendered = await renderApproval(call, found, reader.person, (asked) =>
    why !== null
      ? signInForm(path, signInSentence[why])
      : html`<p>Whoever decides here decides as ${link.recipient}, for whom this link was made.</p>
          ${decisionForm(path, found.row.digest, null, asked, unmade?.reason ?? '')}
          ${unmade === null ? '' : signInForm(path, '')}`,
  );
  return formPage(rendered, unmade);
}

async function decideByLink(call: Call, token: string, body: LinkFields): Promise<Page | Problem | Refusal> {
  let opened = await openNow(call, token);
  if (opened.kind === 'opened' && opened.link.usedAt !== null) {
    const wanted = isAsServed(opened.reader, body) ? null : (body.decision ?? null);
    const told = await pageOfUsedLink(call, token, opened, wanted);
    if (told !== null) return told;
    // The waiting has taken a while: the link is opened again with the rights of now.
    opened = await openNow(call, token);
  }
  if (opened.kind !== 'opened') return opened;
  const now = opened;
  const { path, link, reader, found } = now;
  const why = signInReason(found);
  if (reader.kind === 'link' && why !== null)
    return signInFirst(path, `${nothingDecided}${signInSentence[why]}`);
  // Not on record as the link's person: it may be a program that has sent this.
  if (isAsServed(reader, body))
    return linkPage(call, now, { code: 'REQUEST_INVALID', why: tickMine, reason: body.reason });
  if (!isChosen(body)) return linkPage(call, now, noneChosen(body));
  call.principal = personOf(reader);
  if (reader.kind === 'link') holdLink(call, now.readAt, () => findDecider(call.deps, token), reader.person);
  if (reader.kind === 'signed-in' && !isFormOf(call, reader.who, link.approval, body))
    return problem(
      'FORBIDDEN',
      'nothing was decided: this form is not from a page of this session, or shows another action; open the link again',
    );
  if (!(await useLink(call.deps, link)))
    return (await pageOfUsedLink(call, token, now, body.decision)) ?? usedLink;
  try {
    const decided = await decideByForm(call, found, body, 'link', (as, unmade) =>
      linkPage(call, { ...now, found: as }, unmade),
    );
    if (decided.refused) await releaseLink(call.deps, link);
    return decided.reply;
  } catch (error) {
    // If the store is away, the link is good again after a time (`takeLink`).
    await releaseLink(call.deps, link).catch(() => undefined);
    throw error;
  }
}
