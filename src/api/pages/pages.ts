import { z } from 'zod';
import * as api from '../../model/contract/api.js';
import { decisionErrors } from '../../model/contract/errors.js';
import { visibleApproval, type FoundApproval } from '../../service/approvals/look.js';
import {
  answer,
  callerOf,
  formBody,
  route,
  type Answer,
  type Call,
  type Page,
  type Route,
} from '../http/call.js';
import { isFetchedAhead, noteOpened } from '../http/opened.js';
import { noteFailedAuthn } from '../http/identify.js';
import { problem, type Problem } from '../contract/problem.js';
import type { Refusal } from '../../service/refusal.js';
import { signInFirst, signInForm } from './approval.js';
import { notAhead, page } from './html.js';
import {
  approvalPage,
  decideByForm,
  decidedOnPage,
  decisionFields,
  isChosen,
  isFormOf,
  noneChosen,
  type DecisionFields,
  type Unmade,
} from './deciding.js';
import { linkRoutes } from './links.js';
import { waitingPage } from './waiting.js';
import { mayUsePages, sessionCookie, readSignIn } from './session.js';

// Pages for people: a page shows, its form decides. No GET changes anything.

const idParams = z.object({ id: api.shortText });
const html200 = { 200: { description: 'the page', media: 'text/html' } } as const;

const signInFields = z.strictObject({ credential: z.string().min(1).max(16_384), next: z.string().max(500) });
const pageSpec = {
  tag: 'Pages',
  access: 'public',
  recorded: true,
  query: api.ignoredQuery,
  answers: html200,
} as const;

export const pageRoutes: readonly Route[] = [
  route({
    ...pageSpec,
    id: 'signInPage',
    method: 'GET',
    path: '/sign-in',
    summary: 'The form that signs a person in; for who is signed in, what waits for them',
    params: z.object({}),
    handle: showSignIn,
  }),
  route({
    ...pageSpec,
    id: 'signIn',
    method: 'POST',
    path: '/sign-in',
    summary: 'Sign a person in for a quarter of an hour',
    params: z.object({}),
    body: formBody(signInFields),
    answers: { 303: { description: 'to the page that asked' } },
    errors: ['UNAUTHENTICATED', 'FORBIDDEN'],
    handle: (call, { body }) => startSession(call, body),
  }),
  route({
    ...pageSpec,
    id: 'signOut',
    method: 'POST',
    path: '/sign-out',
    summary: 'End the session of this browser',
    params: z.object({}),
    answers: { 303: { description: 'to the sign-in page' } },
    handle: async (call) =>
      answer(303, undefined, { Location: '/sign-in', 'Set-Cookie': await sessionCookie(call, null) }),
  }),
  route({
    ...pageSpec,
    id: 'approvalPage',
    method: 'GET',
    path: '/approvals/{id}',
    summary: 'One approval with the exact action, for a person who is signed in',
    params: idParams,
    errors: ['UNAUTHENTICATED'],
    handle: (call, { params }) => showApproval(call, params.id),
  }),
  route({
    ...pageSpec,
    id: 'decideOnPage',
    method: 'POST',
    path: '/approvals/{id}',
    summary: 'Decide it, as who is signed in',
    params: idParams,
    body: formBody(decisionFields),
    answers: decidedOnPage,
    errors: ['UNAUTHENTICATED', 'FORBIDDEN', ...decisionErrors],
    handle: (call, { params, body }) => decideHere(call, params.id, body),
  }),
  ...linkRoutes,
];

async function showSignIn(call: Call): Promise<Page | Refusal> {
  const who = await readSignIn(call);
  if (who === null) return page(200, 'Sign in', signInForm('/sign-in', ''));
  call.principal = who.principal;
  return waitingPage(call, who.principal);
}

async function startSession(
  call: Call,
  { credential, next }: { readonly credential: string; readonly next: string },
): Promise<Page | Answer<303, undefined> | Problem> {
  const found = await call.deps.authenticate(`Bearer ${credential.trim()}`);
  if (found.status !== 'ok') {
    noteFailedAuthn(call, found);
    return signInFirst(next, 'That is not a key or token that is valid now.');
  }
  call.principal = found.principal;
  if (!mayUsePages(found.principal))
    return problem(
      'FORBIDDEN',
      'these pages are for people: this credential is of a program, or acts for somebody; nobody is signed in by it',
    );
  return answer(303, undefined, {
    Location: ownPath(next),
    'Set-Cookie': await sessionCookie(call, call.deps.sessions.seal(credential.trim())),
  });
}

/** Where to go after the sign-in: never to another site, whatever the form says. */
function ownPath(next: string): string {
  return /^\/(approvals|links)\/[\w-]+$/.test(next) ? next : '/sign-in';
}

async function showApproval(call: Call, id: string): Promise<Page | Refusal> {
  if (isFetchedAhead(call)) return notAhead;
  const who = await readSignIn(call);
  if (who === null) return signInFirst(`/approvals/${id}`, '');
  call.principal = who.principal;
  const found = await visibleApproval(callerOf(call), id);
  if (found.kind === 'refusal') return found;
  await noteOpened(call, found);
  return approvalPage(call, found, who, `/approvals/${id}`, null);
}

async function decideHere(call: Call, id: string, body: DecisionFields): Promise<Page | Problem | Refusal> {
  const who = await readSignIn(call);
  if (who === null) return signInFirst(`/approvals/${id}`, 'Your session is over: nothing was decided.');
  call.principal = who.principal;
  if (!isFormOf(call, who, id, body))
    return problem(
      'FORBIDDEN',
      'nothing was decided: this form is not from a page of this session, or shows another action; open the page again',
    );
  const found = await visibleApproval(callerOf(call), id);
  if (found.kind === 'refusal') return found;
  const again = (now: FoundApproval, unmade: Unmade): Promise<Page> =>
    approvalPage(call, now, who, `/approvals/${id}`, unmade);
  if (!isChosen(body)) return again(found, noneChosen(body));
  const decided = await decideByForm(call, found, body, 'page', again);
  return decided.reply;
}
