import type { ApprovalState } from '../../engine/state.js';
import type { JsonObject } from '../../model/json.js';
import { withRolePermissions } from '../../model/principal.js';
import { queuesIn } from '../../schema/kit.js';
import { getApproval, type ApprovalRow } from '../../store/approvals.js';
import { decisionsOf } from '../../store/decisions.js';
import { findPerson } from '../../store/people.js';
import { getRun } from '../../store/runs.js';
import { asItStands, bodyOf } from './body.js';
import { isOpen } from './words.js';
import type { ApiDeps } from '../deps.js';
import { makeLink } from '../routes/links.js';
import { mayDecideNow } from './may-decide.js';

/** What the notifier asks of the API: the same words, and links only for those who may decide. */
export interface Notices {
  body(approval: string): Promise<JsonObject | null>;
  /** Path of a new link; null where this person may not decide it. */
  link(approval: string, principal: string): Promise<string | null>;
}

/** A mail may lie for a while before it is read; the link in it is over before the working day is. */
const linkMs = 8 * 3_600_000;

export function makeNotices(deps: ApiDeps): Notices {
  const find = async (id: string): Promise<{ row: ApprovalRow; state: ApprovalState | null } | null> => {
    const row = await getApproval(deps.pool, id);
    const run = row === null ? null : await getRun(deps.pool, row.run);
    return row === null || run === null ? null : asItStands(deps.pool, row, run);
  };
  return {
    body: async (approval) => {
      const found = await find(approval);
      return found === null ? null : bodyOf(deps, found, null);
    },
    link: async (approval, principal) => {
      const found = await find(approval);
      if (found === null || found.state === null || !isOpen(found.state.status)) return null;
      return (await mayPersonDecide(deps, found.state, principal))
        ? issueLink(deps, found.row, found.state, principal)
        : null;
    },
  };
}

/** With the rights that are known of this person now; what counts is asked again when the link is used. */
async function mayPersonDecide(deps: ApiDeps, state: ApprovalState, id: string): Promise<boolean> {
  const [person, policySet, decisions] = await Promise.all([
    findPerson(deps.pool, id),
    deps.policies.policySet(),
    decisionsOf(deps.pool, [state.id]),
  ]);
  if (person === null) return false;
  const { kind } = person;
  const kit = queuesIn(policySet);
  return person.credentials.some(({ roles, permissions }) => {
    const principal = withRolePermissions(policySet, { id, kind, roles, permissions });
    return mayDecideNow(state, principal, kit, decisions).status === 'yes';
  });
}

async function issueLink(
  deps: ApiDeps,
  row: ApprovalRow,
  state: ApprovalState,
  recipient: string,
): Promise<string> {
  const now = deps.now();
  const expiresAt = new Date(Math.min(now.getTime() + linkMs, state.expiresAt)).toISOString();
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
