import { hashApiKey } from '../../auth/index.js';
import type { Principal } from '../../model/principal.js';
import { findLink, giveLinkBack, takeLink, type LinkRow } from '../../store/links.js';
import type { ServiceDeps } from '../deps.js';
import { refusal, type Refusal } from '../refusal.js';
import type { Approval } from './look.js';
import { personByKeys } from './people.js';

// A link names one approval and one person. It may be read often, and decides once.

export interface OpenedLink {
  readonly kind: 'link';
  readonly link: LinkRow;
  /** Whom it was made for; null: no key of that person is valid now. */
  readonly person: Principal | null;
}

export async function openLink(deps: ServiceDeps, token: string): Promise<OpenedLink | Refusal> {
  const link = await linkOf(deps, token);
  if (link === null) return refusal('NOT_FOUND', 'there is no such link: ask for a new one');
  const gone = whyGone(link, deps.now());
  if (gone !== null) return refusal('FORBIDDEN', `this link ${gone}: ask for a new one`);
  const person = await personByKeys(deps, link.recipient);
  if (person !== null && person.kind !== 'human')
    return refusal('FORBIDDEN', 'this link was made for a program: only people decide');
  return { kind: 'link', link, person };
}

/** Whoever holds the link may act as its person only where the effect can be undone. */
const tiersWithoutSignIn: readonly (string | null)[] = ['read_only', 'reversible'];

/**
 * To decide it, the link's person has to sign in. Of what is settled there is nothing to decide: whoever comes late is told
 * how it ended.
 */
export function needsSignIn({ state }: Approval): boolean {
  if (state === null) return false;
  return (
    !tiersWithoutSignIn.includes(state.action.tier) ||
    state.gates.some(({ rule }) => rule.direct === 'required')
  );
}

/** When the link was used; null: it was not, or was given back. */
export async function linkUsedAt(deps: ServiceDeps, token: string): Promise<string | null> {
  return (await linkOf(deps, token))?.usedAt ?? null;
}

/** For one decision. False: it is used already, or over. */
export function useLink({ pool }: ServiceDeps, { id }: LinkRow): Promise<boolean> {
  return takeLink(pool, id);
}

/** Nothing was decided by it: it is good again. */
export function releaseLink({ pool }: ServiceDeps, { id }: LinkRow): Promise<void> {
  return giveLinkBack(pool, id);
}

function linkOf({ pool, pepper }: ServiceDeps, token: string): Promise<LinkRow | null> {
  return findLink(pool, hashApiKey(pepper, token));
}

function whyGone(link: LinkRow, now: Date): string | null {
  if (link.revokedAt !== null) return 'was revoked';
  return link.usedAt === null && Date.parse(link.expiresAt) <= now.getTime() ? 'is over' : null;
}
