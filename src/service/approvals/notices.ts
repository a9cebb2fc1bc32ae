import type { JsonObject } from '../../model/json.js';
import { getApproval } from '../../store/approvals.js';
import type { ServiceDeps } from '../deps.js';
import { bodyOf } from './body.js';
import { judge, toJudge } from './judge.js';
import { makeLink } from './links.js';
import { asItStands, type Approval } from './look.js';
import { knownPerson } from './people.js';

/** What the notifier asks of the service: the same words, and links only for those who may decide. */
interface Notices {
  body(approval: string): Promise<JsonObject | null>;
  /** Path of a new link; null where this person may not decide it. */
  link(approval: string, principal: string): Promise<string | null>;
}

/** A mail may lie for a while before it is read; the link in it is over before the working day is. */
const linkMs = 8 * 3_600_000;

export function makeNotices(deps: ServiceDeps): Notices {
  const find = async (id: string): Promise<Approval | null> => {
    const row = await getApproval(deps.pool, id);
    return row === null ? null : asItStands({ deps, principal: null }, row);
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

/** With the rights that are known of this person now; what counts is asked again when the link is used. */
async function mayPersonDecide(deps: ServiceDeps, approval: Approval, id: string): Promise<boolean> {
  const [person, judged] = await Promise.all([knownPerson(deps, id), toJudge(deps, approval)]);
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
