import { randomBytes } from 'node:crypto';
import { z } from 'zod';
import { hashApiKey } from '../../auth/index.js';
import type { Queryable } from '../../db/index.js';
import * as api from '../../model/api.js';
import * as answers from '../../model/api-answers.js';
import { newId } from '../../model/ids.js';
import { insertLink, linksOf, openLinks, revokeLink, type LinkRow } from '../../store/links.js';
import { getApproval } from '../../store/approvals.js';
import { visibleApproval } from '../approvals/body.js';
import { recordAbout } from '../approvals/view.js';
import { answer, jsonBody, principalOf, route, type Call, type Reply, type Route } from '../http/call.js';
import { notDecidable, tellDecider } from '../approvals/decide.js';
import { notFound, problem } from '../contract/problem.js';
import { visibleRun } from '../runs/run-body.js';

// Links are credentials of one person for one approval. They are shown to that person alone, or sent to that person's own
// address by the notifier: what an agent could ask for, it could use.

const idParams = z.object({ id: api.shortText });
const linkParams = z.object({ id: api.shortText, link: api.shortText });

export const approvalLinkRoutes: readonly Route[] = [
  route({
    id: 'makeLink',
    method: 'POST',
    path: '/v1/approvals/{id}/links',
    tag: 'Approvals',
    summary: 'A single-use link to this approval for yourself, to decide it from a browser; shown once',
    params: idParams,
    query: api.noQuery,
    body: jsonBody(api.linkBody),
    answers: { 201: { description: 'the link', schema: answers.madeLink } },
    errors: ['NOT_AN_APPROVER', 'ALREADY_DECIDED', 'APPROVAL_EXPIRED', 'APPROVAL_REVOKED', 'RATE_LIMITED'],
    handle: (call, { params, body }) => make(call, params.id, body.minutes),
  }),
  route({
    id: 'listLinks',
    method: 'GET',
    path: '/v1/approvals/{id}/links',
    tag: 'Approvals',
    summary: 'Your links to this approval, without their secrets',
    params: idParams,
    query: api.noQuery,
    answers: { 200: { description: 'your links', schema: answers.approvalLinks } },
    handle: async (call, { params }) => {
      const found = await visibleApproval(call, params.id);
      if (found.kind === 'problem') return found;
      const rows = await linksOf(call.deps.pool, params.id, principalOf(call).id);
      return answer(200, { data: rows.map((row) => listed(row, call.deps.now())) });
    },
  }),
  route({
    id: 'revokeLink',
    method: 'DELETE',
    path: '/v1/approvals/{id}/links/{link}',
    tag: 'Approvals',
    summary: 'Make a link of yours useless',
    params: linkParams,
    query: api.noQuery,
    answers: { 204: { description: 'it opens nothing any more' } },
    handle: (call, { params }) => revoke(call, params.id, params.link),
  }),
];

/** Of one person to one approval. */
const mostOpenLinks = 20;

async function make(call: Call, id: string, minutes: number): Promise<Reply> {
  const found = await visibleApproval(call, id);
  if (found.kind === 'problem') return found;
  const refused = await notDecidable(call, found);
  if (refused !== null) return tellDecider(call, id, refused);
  const person = principalOf(call);
  const open = await openLinks(call.deps.pool, id, person.id);
  if (open >= mostOpenLinks)
    return problem(
      'RATE_LIMITED',
      `you have ${open} links to this approval that are good still, which is the most: use one, or revoke some`,
      { limit: mostOpenLinks },
      { 'Retry-After': '60' },
    );
  const link = await makeLink(call.deps.pool, call.deps.pepper, {
    approval: id,
    recipient: person.id,
    createdBy: person.id,
    expiresAt: new Date(
      Math.min(call.deps.now().getTime() + minutes * 60_000, found.state?.expiresAt ?? 0),
    ).toISOString(),
  });
  call.facts.push({ type: 'credential.issued', approval: id, data: { link: link.id, recipient: person.id } });
  return answer(201, { id: link.id, path: `/links/${link.token}`, expiresAt: link.expiresAt });
}

/** By its owner, who may have lost the sight of the approval since: what it opens is the less. */
async function revoke(call: Call, approval: string, link: string): Promise<Reply> {
  const row = await getApproval(call.deps.pool, approval);
  if (row === null) return notFound('link', link);
  await visibleRun(call, row.run);
  const revoked = await call.deps.transaction(async (tx) => {
    const found = await revokeLink(tx, { id: link, approval, recipient: principalOf(call).id });
    if (found === 'revoked') await recordAbout(call, tx, 'credential.revoked', { row }, { data: { link } });
    return found;
  });
  return revoked === null ? notFound('link', link) : answer(204);
}

export interface MadeLink {
  readonly id: string;
  /** The secret part of the address. Only the recipient may ever see it. */
  readonly token: string;
  readonly expiresAt: string;
}

export async function makeLink(
  q: Queryable,
  pepper: Buffer,
  wanted: Pick<LinkRow, 'approval' | 'recipient' | 'createdBy' | 'expiresAt'>,
): Promise<MadeLink> {
  const token = randomBytes(32).toString('base64url');
  const id = newId('lnk');
  await insertLink(q, { id, hash: hashApiKey(pepper, token), ...wanted });
  return { id, token, expiresAt: wanted.expiresAt };
}

function listed(row: LinkRow, now: Date): object {
  const over = Date.parse(row.expiresAt) <= now.getTime();
  const status =
    row.usedAt !== null ? 'used' : row.revokedAt !== null ? 'revoked' : over ? 'expired' : 'open';
  return { id: row.id, status, createdAt: row.createdAt, expiresAt: row.expiresAt };
}
