import type { JsonObject } from '../../model/values/json.js';
import { getApproval } from '../../store/approvals/approvals.js';
import type { ServiceDeps } from '../deps.js';
import { bodyOf } from './body/body.js';
import { judge, loadJudged } from './judge.js';
import { makeLink } from './links/links.js';
import { readApproval, type Approval } from './look.js';
import { findPerson } from './people.js';

/** What the notifier gets from the service: the body that every door shows, and links only for people who may decide. */
interface Notices {
  body(approval: string): Promise<JsonObject | null>;
  /** Path of a new link; null: this person may not decide the approval. */
  link(approval: string, principal: string): Promise<string | null>;
}

/** A link in a mail may lie unread for a while, but not beyond a working day. */
const linkMs = 8 * 3_600_000;

export function makeNotices(deps: ServiceDeps): Notices {
  const find = async (id: string): Promise<Approval | null> => {
    const row = await getApproval(deps.pool, id);
    return row === null ? null : readApproval({ deps, principal: null }, row);
  };
  return {
    body: async (approval) => {
      const found = await find(approval);
      return found === null ? null : bodyOf(deps, found, null);
    },
    link: async (approval, principal) => {
      const found = await find(approval);
      return found !== null && (await mayPersonDecide(deps, found, principal))
        ? issueLink(deps, found, principal)
        : null;
    },
  };
}

/** By the rights that the person has now; they are checked again when the link is used. */
async function mayPersonDecide(deps: ServiceDeps, approval: Approval, id: string): Promise<boolean> {
  const [person, judged] = await Promise.all([findPerson(deps, id), loadJudged(deps, approval)]);
  return person?.credentials.some((principal) => judge(judged, principal).status === 'yes') ?? false;
}

async function issueLink(deps: ServiceDeps, { row, state }: Approval, recipient: string): Promise<string> {
  const now = deps.now();
  const expiresAt = new Date(Math.min(now.getTime() + linkMs, state?.expiresAt ?? 0)).toISOString();
  return deps.transaction(async (tx) => {
    const link = await makeLink(tx, deps.pepper, {
      approval: row.id,
      recipient,
      createdBy: 'countersign',
      expiresAt,
    });
    await deps.chain.appendIn(tx, [
      {
        key: `credential.issued:${link.id}`,
        type: 'credential.issued',
        time: now.toISOString(),
        actor: { kind: 'runtime', id: 'countersign' },
        approval: row.id,
        about: row.run,
        flow: row.flow,
        environment: row.environment,
        data: { link: link.id, recipient },
      },
    ]);
    return `/links/${link.token}`;
  });
}
