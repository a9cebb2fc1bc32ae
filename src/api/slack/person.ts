import type { SlackChannel } from '../../model/contract/notifications.js';
import type { Principal } from '../../model/principal.js';
import { findPersonByKeys } from '../../service/approvals/people.js';
import { refusal, type Refusal } from '../../service/refusal.js';
import type { Call } from '../http/call.js';

export type SlackPerson = { readonly kind: 'person'; readonly principal: Principal } | Refusal;

/**
 * Who a Slack user is here: the principal that the policies name for them, with the rights that its keys give now. Nothing in a
 * request says who somebody is, of which kind, or with which roles. docs/adr/0005.
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
    return refusePerson(
      'unmapped',
      `nobody here is named for your Slack user ${user}: an operator adds it to \`users\` of the channel`,
    );
  if (another !== undefined)
    return refusePerson(
      'ambiguous',
      `the channels name several people for your Slack user ${user}: an operator mends their \`users\``,
    );
  const principal = await findPersonByKeys(call.deps, id, null);
  if (principal === null)
    return refusePerson(
      'no_credential',
      `\`${id}\` has no key that is valid now: open the page and sign in there`,
    );
  if (principal.kind !== 'human')
    return refusePerson('not_human', `only a human decides; \`${id}\` is of kind ${principal.kind}`);
  return { kind: 'person', principal };
}

/** The same later, of the channels that are left of those whose secret had signed the request. */
export async function slackPersonNow(
  call: Call,
  channels: readonly SlackChannel[],
  user: string,
): Promise<SlackPerson> {
  if (channels.length > 0) return slackPerson(call, channels, user);
  return refusePerson(
    'unmapped',
    'the channel of this message is no longer declared here as it was, or has another signing secret: decide on the page, or in a newer message',
  );
}

function refusePerson(why: string, detail: string): Refusal {
  return refusal('FORBIDDEN', detail, { why });
}
