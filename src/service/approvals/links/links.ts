import { randomBytes } from 'node:crypto';
import { hashApiKey } from '../../../auth/index.js';
import type { Queryable } from '../../../db/index.js';
import { newId } from '../../../model/names/ids.js';
import type { ApprovalLinkJson } from '../../../model/contract/answer-types.js';
import { getApproval } from '../../../store/approvals/approvals.js';
import {
  insertLink,
  linksOf,
  lockLinks,
  countOpenLinks,
  revokeLink,
  type LinkRow,
} from '../../../store/approvals/links.js';
import { note, type Caller } from '../../caller.js';
import { transact } from '../../changes.js';
import { refuseCaller } from '../../may.js';
import { notFound, refusal, type Refusal } from '../../refusal.js';
import { visibleRun } from '../../runs/visible.js';
import { refuseDecider, loadJudged } from '../judge.js';
import { visibleApproval } from '../look.js';
import { recordAbout } from '../seen.js';

// A link is a credential of one person for one approval. It is shown to that person alone, or sent by the notifier to their own
// address: an agent that could ask for a link could also use it.

export interface MadeLink {
  readonly kind: 'link';
  readonly id: string;
  /** The secret part of the address. Only the recipient may ever see it. */
  readonly token: string;
  readonly expiresAt: string;
}

/** For one person and one approval. */
const mostOpenLinks = 20;

/** A link for the caller itself, good for `minutes`, and never longer than the approval is open. */
export async function makeOwnLink(caller: Caller, id: string, minutes: number): Promise<MadeLink | Refusal> {
  const denied = refuseCaller(caller, 'makeLink');
  if (denied !== null) return denied;
  const { deps, principal: person } = caller;
  const found = await visibleApproval(caller, id);
  if (found.kind === 'refusal') return found;
  const refused = refuseDecider(await loadJudged(deps, found), person);
  if (refused !== null) return refused;
  const until = Math.min(deps.now().getTime() + minutes * 60_000, found.state?.expiresAt ?? 0);
  const link = await transact(caller, async (tx) => {
    await lockLinks(tx, id, person.id);
    const open = await countOpenLinks(tx, id, person.id);
    if (open >= mostOpenLinks) return tooManyLinks(open);
    const expiresAt = new Date(until).toISOString();
    return makeLink(tx, deps.pepper, { approval: id, recipient: person.id, createdBy: person.id, expiresAt });
  });
  if (link.kind === 'refusal') return link;
  note(caller, { type: 'credential.issued', approval: id, data: { link: link.id, recipient: person.id } });
  return link;
}

function tooManyLinks(open: number): Refusal {
  return refusal(
    'RATE_LIMITED',
    `you have ${open} open links to this approval, which is the most allowed: use one of them, or revoke some`,
    { limit: mostOpenLinks },
    60,
  );
}

/** The caller's own links, without their secrets. */
export async function listOwnLinks(
  caller: Caller,
  id: string,
): Promise<{ readonly kind: 'links'; readonly links: readonly ApprovalLinkJson[] } | Refusal> {
  const refused = refuseCaller(caller, 'listLinks');
  if (refused !== null) return refused;
  const found = await visibleApproval(caller, id);
  if (found.kind === 'refusal') return found;
  const rows = await linksOf(caller.deps.pool, id, caller.principal.id);
  return { kind: 'links', links: rows.map((row) => linkJson(row, caller.deps.now())) };
}

/** Revokes a link of the caller, who need not see the approval any more: to revoke only takes access away. Null: done. */
export async function revokeOwnLink(caller: Caller, approval: string, link: string): Promise<Refusal | null> {
  const refused = refuseCaller(caller, 'revokeLink');
  if (refused !== null) return refused;
  const { deps, principal } = caller;
  const row = await getApproval(deps.pool, approval);
  if (row === null) return notFound('link', link);
  await visibleRun(caller, row.run);
  const revoked = await transact(caller, async (tx) => {
    const found = await revokeLink(tx, { id: link, approval, recipient: principal.id });
    if (found === 'revoked') await recordAbout(caller, tx, 'credential.revoked', { row }, { data: { link } });
    return found;
  });
  return revoked === null ? notFound('link', link) : null;
}

export async function makeLink(
  q: Queryable,
  pepper: Buffer,
  wanted: Pick<LinkRow, 'approval' | 'recipient' | 'createdBy' | 'expiresAt'>,
): Promise<MadeLink> {
  const token = randomBytes(32).toString('base64url');
  const id = newId('lnk');
  await insertLink(q, { id, hash: hashApiKey(pepper, token), ...wanted });
  return { kind: 'link', id, token, expiresAt: wanted.expiresAt };
}

function linkJson(row: LinkRow, now: Date): ApprovalLinkJson {
  const over = Date.parse(row.expiresAt) <= now.getTime();
  return {
    id: row.id,
    status: row.usedAt !== null ? 'used' : row.revokedAt !== null ? 'revoked' : over ? 'expired' : 'open',
    createdAt: row.createdAt,
    expiresAt: row.expiresAt,
  };
}
