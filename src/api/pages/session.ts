import { sessionSeconds, type Session } from '../../auth/index.js';
import type { Principal } from '../../model/principal.js';
import type { Call } from '../http/call.js';

// Who a browser is: the credential in its sealed cookie, authenticated anew by each page.

const cookieName = 'countersign';

export interface SignedIn {
  readonly session: Session;
  readonly principal: Principal;
}

export async function signedIn(call: Call): Promise<SignedIn | null> {
  const sealed = cookieOf(call.request.headers.cookie ?? '');
  const session = sealed === null ? null : call.deps.sessions.open(sealed);
  if (session === null) return null;
  const found = await call.deps.authenticate(`Bearer ${session.credential}`);
  if (found.status !== 'ok' || !mayUsePages(found.principal)) return null;
  call.signedInAs = found.principal.id;
  return { session, principal: found.principal };
}

/** Pages are for humans themselves: not for agents, and not for a service that acts for a human. */
export function mayUsePages(principal: Principal): boolean {
  return principal.kind === 'human' && principal.actedBy === undefined;
}

function cookieOf(header: string): string | null {
  for (const one of header.split(';')) {
    const at = one.indexOf('=');
    if (at !== -1 && one.slice(0, at).trim() === cookieName) return one.slice(at + 1).trim();
  }
  return null;
}

/** Lax: a link from a mail shows the page; a form of another site carries nothing. */
export function sessionCookie(call: Call, sealed: string | null): string {
  const secure = isHttps(call.request.headers['x-forwarded-proto']) ? '; Secure' : '';
  const age = sealed === null ? 0 : sessionSeconds;
  return `${cookieName}=${sealed ?? ''}; Path=/; HttpOnly; SameSite=Lax; Max-Age=${age}${secure}`;
}

/** Whether the browser came over https: of several proxies, the first names what it spoke (`https,http`). */
function isHttps(forwarded: string | readonly string[] | undefined): boolean {
  return /^\s*https\s*(,|$)/i.test(String(forwarded ?? ''));
}
