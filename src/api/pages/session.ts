import { sessionSeconds, type Session } from '../../auth/index.js';
import type { Principal } from '../../model/principal.js';
import type { Call } from '../http/call.js';

// Who uses the browser: each page authenticates the credential in the sealed cookie again.

const cookieName = 'countersign';

export interface SignedIn {
  readonly session: Session;
  readonly principal: Principal;
}

export async function readSignIn(call: Call): Promise<SignedIn | null> {
  const sealed = cookieOf(call.request.headers.cookie ?? '');
  const session = sealed === null ? null : call.deps.sessions.open(sealed);
  if (session === null) return null;
  const found = await call.deps.authenticate(`Bearer ${session.credential}`);
  if (found.status !== 'ok' || !mayUsePages(found.principal)) return null;
  call.signedInAs = found.principal.id;
  return { session, principal: found.principal };
}

/** Pages are for humans themselves: neither for agents nor for a service that acts for a human. */
export function mayUsePages(principal: Principal): boolean {
  return principal.kind === 'human' && principal.actedBy === undefined;
}

function cookieOf(header: string): string | null {
  for (const pair of header.split(';')) {
    const at = pair.indexOf('=');
    if (at !== -1 && pair.slice(0, at).trim() === cookieName) return pair.slice(at + 1).trim();
  }
  return null;
}

/**
 * SameSite is Lax: the cookie comes with a link from a mail, but not with a form of another site. Secure: where people reach the
 * service over https, whether its proxy says so or `publicUrl` does.
 */
export async function sessionCookie({ deps, request }: Call, sealed: string | null): Promise<string> {
  const publicUrl = (await deps.policies.policySet())?.notifications?.publicUrl ?? '';
  const isSecure = isHttps(request.headers['x-forwarded-proto']) || /^https:/i.test(publicUrl);
  const secure = isSecure ? '; Secure' : '';
  const age = sealed === null ? 0 : sessionSeconds;
  return `${cookieName}=${sealed ?? ''}; Path=/; HttpOnly; SameSite=Lax; Max-Age=${age}${secure}`;
}

/** Whether the browser came over https: behind several proxies the first entry counts (`https,http`). */
function isHttps(forwarded: string | readonly string[] | undefined): boolean {
  return /^\s*https\s*(,|$)/i.test(String(forwarded ?? ''));
}
