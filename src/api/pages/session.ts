import { sessionSeconds, type Session } from '../../auth/index.js';
import type { Principal } from '../../model/principal.js';
import { problem, statusOf, type Problem } from '../contract/problem.js';
import { isSame, readHeader, type Call, type Page, type Reply } from '../http/call.js';
import { signInFirst } from './approval.js';

// Who uses the browser: each page authenticates the credential in the sealed cookie again.

const cookieName = 'countersign';

export interface SignedIn {
  readonly session: Session;
  readonly principal: Principal;
}

export async function readSignIn(call: Call): Promise<SignedIn | null> {
  const session = readSession(call);
  if (session === null) return null;
  const { found, credential } = await readHeader(call.deps, `Bearer ${session.credential}`);
  if (found.status !== 'ok' || !mayUsePages(found.principal)) return null;
  call.signedInAs = found.principal.id;
  // A session may end before its key does.
  const readNow = async (): Promise<Principal | null> =>
    readSession(call)?.nonce === session.nonce ? credential.readNow() : null;
  call.credential = { ...credential, readNow };
  return { session, principal: found.principal };
}

/**
 * What a page that took a while shows instead, where what its reader signed in with, or their link, has ended by then or gives other
 * rights; null: it may be shown. Whoever has decided, or may have, is told so in any case.
 */
export async function whyNotShown(
  { credential, principal, request }: Call,
  made: Exclude<Reply, { readonly kind: 'stream' }>,
): Promise<Page | Problem | null> {
  const isSignIn = 'code' in made && made.code === 'UNAUTHENTICATED';
  const status = made.kind === 'answer' ? made.status : statusOf(made);
  const mayHaveDecided =
    request.method === 'POST' &&
    (status < 400 || status >= 500 || ('code' in made && made.code === 'RUN_STUCK'));
  if (credential === null || isSignIn || mayHaveDecided) return null;
  const now = await credential.readNow();
  if (now === null && credential.isLink === true)
    return problem(
      'FORBIDDEN',
      'while this page was made, this link ended, or its person got other rights: open it again, or ask for a new one',
    );
  if (now === null) {
    const [path = ''] = (request.url ?? '').split('?');
    const why =
      'What you signed in with was taken before, and is not taken now: sign in to see what is so now.';
    return signInFirst(path, why);
  }
  if (principal === null || isSame(now, principal)) return null;
  const changed = 'while this page was made, your rights changed: open it again';
  return problem('AUDIT_UNAVAILABLE', changed, {}, { 'Retry-After': '2' });
}

/** Pages are for humans themselves: neither for agents nor for a service that acts for a human. */
export function mayUsePages(principal: Principal): boolean {
  return principal.kind === 'human' && principal.actedBy === undefined;
}

/** The first cookie of the name that this service has sealed: a browser also sends those that another host of the domain has set. */
function readSession({ request, deps }: Call): Session | null {
  for (const pair of (request.headers.cookie ?? '').split(';')) {
    const at = pair.indexOf('=');
    if (at === -1 || pair.slice(0, at).trim() !== cookieName) continue;
    const session = deps.sessions.open(pair.slice(at + 1).trim());
    if (session !== null) return session;
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
