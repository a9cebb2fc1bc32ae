import { isOpen } from '../../../model/approval-status.js';
import type { JsonObject } from '../../../model/values/json.js';
import type { SlackChannel } from '../../../model/contract/notifications.js';
import { callSlack, type SlackAnswer, type SlackAround } from './api.js';
import { slackApproval } from './approval.js';
import { approvalMessage, reminderText, type SlackApproval } from './blocks.js';
import type { Around, Delivered, Notification } from '../../types.js';

// Each channel gets a single message for an approval, which is posted once and then rewritten as the approval goes on.

/** Where the message stands: Slack's conversation and time stamp. */
export interface Posted {
  readonly channel: string;
  readonly ts: string;
}

export async function deliverSlack(
  channel: SlackChannel,
  notification: Notification,
  around: Around,
): Promise<Delivered> {
  const approval = slackApproval(notification.body, notification.url);
  const earlier = notification.earlier === null ? null : postedOf(notification.earlier);
  if (earlier === null) return postMessage(channel, approval, around);
  const updated = await updateMessage(channel, earlier, approval, around);
  if (updated.status === 'failed' && unwritableErrors.includes(updated.error ?? ''))
    return isOpen(approval.status)
      ? postMessage(channel, approval, around)
      : { status: 'delivered', detail: 'its message is not there any more' };
  if (updated.status !== 'ok') return toDelivered(updated);
  const calls = notification.event === 'reminder' || notification.event === 'escalated';
  if (!calls || !isOpen(approval.status)) return { status: 'delivered', detail: 'its message was rewritten' };
  return replyReminder(channel, earlier, { approval, event: notification.event }, around);
}

/** Slack's error codes for a message that cannot be rewritten. */
const unwritableErrors: readonly string[] = [
  'message_not_found',
  'cant_update_message',
  'edit_window_closed',
];
const noUnfurling = { unfurl_links: false, unfurl_media: false } as const;

async function postMessage(
  channel: SlackChannel,
  approval: SlackApproval,
  around: SlackAround,
): Promise<Delivered> {
  const { text, blocks } = approvalMessage(approval);
  const body: JsonObject = {
    channel: channel.channel,
    text,
    mrkdwn: false,
    blocks: [...blocks],
    ...noUnfurling,
  };
  const answer = await callSlack(channel, 'chat.postMessage', body, around);
  if (answer.status !== 'ok') return toDelivered(answer);
  const posted = { channel: answer.body['channel'], ts: answer.body['ts'] };
  const memo = `${String(posted.channel)}:${String(posted.ts)}`;
  // The message was posted, but cannot be rewritten later.
  if (postedOf(memo) === null) return { status: 'delivered', detail: 'posted, and Slack did not say where' };
  return { status: 'delivered', detail: 'posted', memo };
}

export function updateMessage(
  channel: SlackChannel,
  posted: Posted,
  approval: SlackApproval,
  around: SlackAround,
): Promise<SlackAnswer> {
  const { text, blocks } = approvalMessage(approval);
  return callSlack(
    channel,
    'chat.update',
    { channel: posted.channel, ts: posted.ts, text, blocks: [...blocks] },
    around,
  );
}

/** Replies under the message, because rewriting it notifies nobody. */
async function replyReminder(
  channel: SlackChannel,
  posted: Posted,
  { approval, event }: { readonly approval: SlackApproval; readonly event: 'reminder' | 'escalated' },
  around: SlackAround,
): Promise<Delivered> {
  const body: JsonObject = {
    channel: posted.channel,
    thread_ts: posted.ts,
    reply_broadcast: true,
    text: reminderText(approval, event),
    mrkdwn: false,
    ...noUnfurling,
  };
  const answer = await callSlack(channel, 'chat.postMessage', body, around);
  return answer.status === 'ok'
    ? { status: 'delivered', detail: 'replied under its message' }
    : toDelivered(answer);
}

function toDelivered(answer: Exclude<SlackAnswer, { status: 'ok' }>): Delivered {
  if (answer.status === 'failed') return { status: 'failed', detail: answer.detail };
  const { detail, afterMs } = answer;
  return { status: 'retry', detail, ...(afterMs === undefined ? {} : { afterMs }) };
}

function postedOf(memo: string): Posted | null {
  const [, channel, ts] = /^([A-Z0-9]{2,40}):(\d{1,20}\.\d{1,20})$/.exec(memo) ?? [];
  return channel === undefined || ts === undefined ? null : { channel, ts };
}
