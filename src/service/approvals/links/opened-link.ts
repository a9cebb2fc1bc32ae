import { hashApiKey } from '../../../auth/index.js';
import type { Principal } from '../../../model/principal.js';
import { findLink, giveLinkBack, takeLink, type LinkRow } from '../../../store/approvals/links.js';
import type { ServiceDeps } from '../../deps.js';
import { refusal, type Refusal } from '../../refusal.js';
import type { Approval } from '../look.js';
import { findPersonByKeys } from '../people.js';

// A link names an approval and a person. It may be opened often, and decides once.

export interface OpenedLink {
  readonly kind: 'link';
  readonly link: LinkRow;
  /** The person whom the link was made for; null: they have to sign in, because their rights are not those of keys from when it was made. */
  readonly person: Principal | null;
}

export async function openLink(deps: ServiceDeps, token: string): Promise<OpenedLink | Refusal> {
  const link = await findByToken(deps, token);
  if (link === null) return refusal('NOT_FOUND', 'there is no such link: ask for a new one');
  const gone = whyGone(link, deps.now());
  if (gone !== null) return refusal('FORBIDDEN', `this link ${gone}: ask for a new one`);
  const person = await findHolder(deps, link);
  if (person !== null && person.kind !== 'human')
    return refusal('FORBIDDEN', 'this link was made for a program: only people decide');
  return { kind: 'link', link, person };
}

/** Whom the link shows now what came of it, though it is used; null: nobody. */
export async function findReader(deps: ServiceDeps, token: string): Promise<Principal | null> {
  const opened = await openLink(deps, token);
  return opened.kind === 'refusal' ? null : opened.person;
}

/** Whom the link lets decide now, whether it is used by then or not; null: nobody. */
export async function findDecider(deps: ServiceDeps, token: string): Promise<Principal | null> {
  const opened = await openLink(deps, token);
  return opened.kind === 'refusal' || isOver(opened.link, deps.now()) ? null : opened.person;
}

/** Null: the keys that the person had when the link was made are not valid now, or later keys give rights that those do not give. */
async function findHolder(deps: ServiceDeps, { recipient, createdAt }: LinkRow): Promise<Principal | null> {
  const [held, now] = await Promise.all([
    findPersonByKeys(deps, recipient, createdAt),
    findPersonByKeys(deps, recipient, null),
  ]);
  const hasAll = (own: readonly string[] = [], all: readonly string[] = []): boolean =>
    all.every((right) => own.includes(right));
  return hasAll(held?.roles, now?.roles) && hasAll(held?.permissions, now?.permissions) ? held : null;
}

/**
 * Why the link's person has to sign in before they decide: the effect cannot be undone, nobody has said whether it can, or a gate
 * asks for the person itself. Null: the link alone lets its holder act as them, or there is nothing to decide.
 */
export function signInReason({ state }: Approval): 'irreversible' | 'no_tier' | 'direct' | null {
  if (state === null) return null;
  const { tier } = state.action;
  if (tier === null) return 'no_tier';
  if (tier !== 'read_only' && tier !== 'reversible') return 'irreversible';
  return state.gates.some(({ rule }) => rule.direct === 'required') ? 'direct' : null;
}

/** When the link was used; null: it was not used, or was given back. */
export async function linkUsedAt(deps: ServiceDeps, token: string): Promise<string | null> {
  return (await findByToken(deps, token))?.usedAt ?? null;
}

/** Uses the link up for one decision. False: it was used before, or is over. */
export function useLink({ pool }: ServiceDeps, { id }: LinkRow): Promise<boolean> {
  return takeLink(pool, id);
}

/** Gives the link back, if its person has decided nothing: it may be used again. */
export function releaseLink({ pool }: ServiceDeps, { id }: LinkRow): Promise<void> {
  return giveLinkBack(pool, id);
}

function findByToken({ pool, pepper }: ServiceDeps, token: string): Promise<LinkRow | null> {
  return findLink(pool, hashApiKey(pepper, token));
}

function whyGone(link: LinkRow, now: Date): string | null {
  if (link.revokedAt !== null) return 'was revoked';
  return link.usedAt === null && isOver(link, now) ? 'is over' : null;
}

function isOver({ expiresAt }: LinkRow, now: Date): boolean {
  return Date.parse(expiresAt) <= now.getTime();
}
