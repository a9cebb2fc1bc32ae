import { withRolePermissions } from '../../auth/index.js';
import type { SlackChannel } from '../../model/notifications.js';
import type { Principal } from '../../model/principal.js';
import { principalByKeys } from '../../store/links.js';
import type { Call } from '../http/call.js';
import { problem, type Problem } from '../contract/problem.js';

export type SlackPerson = { readonly kind: 'person'; readonly principal: Principal } | Problem;

/**
 * Who a Slack user is here: the principal that the policies name for it, with what its keys give it at this moment. Nothing
 * in a request says who somebody is, of which kind, or with which roles. docs/adr/0005.
 */
export async function slackPerson(
  call: Call,
  channels: readonly SlackChannel[],
  user: string,
): Promise<SlackPerson> {
  const named = new Set(
    channels.flatMap(({ users }) => (Object.hasOwn(users, user) ? [users[user] ?? ''] : [])),
  );
  const [id, another] = [...named];
  if (id === undefined)
    return no(
      'unmapped',
      `nobody here is named for your Slack user ${user}: an operator adds it to \`users\` of the channel`,
    );
  if (another !== undefined)
    return no(
      'ambiguous',
      `the channels name several people for your Slack user ${user}: an operator mends their \`users\``,
    );
  const stored = await principalByKeys(call.deps.pool, id);
  if (stored === null)
    return no('no_credential', `\`${id}\` has no key that is valid now: open the page and sign in there`);
  if (stored.kind !== 'human')
    return no('not_human', `only a human decides; \`${id}\` is of kind ${stored.kind}`);
  return {
    kind: 'person',
    principal: withRolePermissions(await call.deps.policies.policySet(), stored),
  };
}

function no(why: string, detail: string): Problem {
  return problem('FORBIDDEN', detail, { why });
}
