import { createHash } from 'node:crypto';
import { z } from 'zod';
import type { Principal } from '../../model/principal.js';
import * as api from '../../model/contract/api.js';
import type { SlackChannel } from '../../model/contract/notifications.js';
import {
  callSlack,
  toLine,
  modalId,
  reasonInput,
  reasonModal,
  saidModal,
  slackApproval,
  updateMessage,
  type SlackApproval,
} from '../../notify/slack-door.js';
import { bodyOf } from '../../service/approvals/body/body.js';
import { decide, noteRefusedDecision } from '../../service/approvals/decide.js';
import { requiredReasons, refuseDecision, loadJudged } from '../../service/approvals/judge.js';
import { visibleApproval, isUndecided, type FoundApproval } from '../../service/approvals/look.js';
import { noteView } from '../../service/approvals/seen.js';
import { note } from '../../service/caller.js';
import { isUnavailable, refusal, type Refusal } from '../../service/refusal.js';
import {
  answer,
  callerOf,
  route,
  signedForm,
  type Answer,
  type Call,
  type Reply,
  type Route,
} from '../http/call.js';
import { problem, type Problem } from '../contract/problem.js';
import {
  buttonValue,
  decisionOf,
  parseJson,
  readPayload,
  unreadable,
  windowMetadata,
  type Pressed,
  type Submitted,
  type WindowMetadata,
} from './payload.js';
import { slackPerson, slackPersonNow, type SlackPerson } from './person.js';
import { readHead, verifySlack, type SignedRequest } from './request.js';

// Deciding from Slack: a button opens a window, the window asks for a reason, and its submission is a decision like any other.
// Slack waits three seconds for each answer.

const path = '/slack/interactions';

export const slackRoutes: readonly Route[] = [
  route({
    id: 'slackInteraction',
    method: 'POST',
    path,
    tag: 'Slack',
    summary: "Slack's interactivity request URL: buttons and windows, signed by Slack",
    access: 'public',
    recorded: true,
    params: z.object({}),
    query: api.noQuery,
    body: signedForm,
    answers: { 200: { description: 'taken; for a window, what it shows next', media: 'application/json' } },
    errors: ['UNAUTHENTICATED'],
    refuseUnread: async (call) => {
      const head = await readHead(call);
      return head.status === 'refused' ? refuseStranger(call, head.reason) : null;
    },
    handle: (call, { body }) => onInteraction(call, body),
  }),
];

async function onInteraction(call: Call, bytes: Buffer): Promise<Reply> {
  const signed = await verifySlack(call, bytes);
  if (signed.status === 'refused') return refuseStranger(call, signed.reason);
  const read = readPayload(bytes);
  if (read.kind === 'problem') return read;
  switch (read.value.type) {
    case 'block_actions':
      return onButton(call, signed, read.value);
    case 'view_submission':
      return onWindow(call, signed, read.value);
    default:
      return answer(200);
  }
}

function refuseStranger(call: Call, reason: string): Problem {
  const remote = call.request.socket.remoteAddress ?? '';
  note(call, { type: 'authn.failed', data: { reason, route: path, remote } });
  return problem(
    'UNAUTHENTICATED',
    'only Slack may call this: send a signature of now, not used before, made with the signing secret of a channel that is declared here',
  );
}

/** The channel that the message stands in, among those that the request is signed for. */
function channelOf(channels: readonly SlackChannel[], { container }: Pressed): SlackChannel {
  const found = channels.find((channel) => channel.channel === container?.channel_id) ?? channels[0];
  if (found === undefined) throw new Error('a signed request has a channel');
  return found;
}

/** Opens the window that shows what would be decided, if the person may decide it now. */
async function onButton(call: Call, signed: SignedRequest, pressed: Pressed): Promise<Reply> {
  const [action] = pressed.actions;
  const decision = decisionOf[action?.action_id ?? ''];
  // Other buttons are links: Slack only reports that they were pressed.
  if (decision === undefined) return answer(200);
  const read = parseJson(buttonValue, action?.value ?? '', '/payload/actions/0/value');
  if (read.kind === 'problem') return read;
  const channel = channelOf(signed.channels, pressed);
  const asked = { ...read.value, decision };
  const person = await becomePerson(call, signed, pressed.user.id);
  if (person.kind === 'refusal') return tellAlone(call, channel, pressed, recordRefusal(call, asked, person));
  const found = await visibleApproval(callerOf(call), asked.approval);
  if (found.kind === 'refusal') return tellAlone(call, channel, pressed, recordRefusal(call, asked, found));
  const shown = await toSlackApproval(call, found);
  const judged = await loadJudged(call.deps, found);
  const asks = requiredReasons(judged, person.principal);
  // A reason that the gate asks for is asked for in the window, so that it is not missing here.
  const next = asks[decision] ? { reason: 'asked for next' } : {};
  const refused = await refuseDecision(callerOf(call), judged, { ...asked, ...next });
  if (refused !== null) {
    noteRefusedDecision(callerOf(call), asked.approval, asked, refused);
    const [answered] = await Promise.all([
      tellAlone(call, channel, pressed, refused),
      isUndecided(found) ? undefined : rewriteSettled(call, channel, pressed, shown),
    ]);
    return answered;
  }
  await noteView(callerOf(call), found);
  const view = reasonModal(shown, decision, {
    metadata: JSON.stringify(asked),
    reasonRequired: asks[decision],
  });
  const opened = await callSlack(
    channel,
    'views.open',
    { trigger_id: pressed.trigger_id, view },
    slackOptions(call),
  );
  if (opened.status === 'ok') return answer(200);
  call.deps.log(`${call.requestId}: Slack did not open a window: ${opened.detail}`);
  return tellAlone(
    call,
    channel,
    pressed,
    refusal(
      'INTERNAL',
      'the window did not open, or opens late: press the button again, or decide on the page',
    ),
  );
}

async function toSlackApproval(call: Call, found: FoundApproval): Promise<SlackApproval> {
  const { publicUrl = null } = (await call.deps.policies.policySet())?.notifications ?? {};
  const page = publicUrl === null ? null : `${publicUrl}/approvals/${encodeURIComponent(found.row.id)}`;
  return slackApproval(await bodyOf(call.deps, found, call.principal), page);
}

/** Rewrites a message that still had its buttons though there is nothing left to decide. */
async function rewriteSettled(
  call: Call,
  channel: SlackChannel,
  { container }: Pressed,
  shown: SlackApproval,
): Promise<void> {
  const { channel_id, message_ts } = container ?? {};
  if (channel_id === undefined || message_ts === undefined) return;
  await updateMessage(channel, { channel: channel_id, ts: message_ts }, shown, slackOptions(call));
}

const slackMs = 1_000;

function slackOptions(call: Call): Parameters<typeof callSlack>[3] {
  const { references, now } = call.deps;
  return { references, now, signal: AbortSignal.timeout(slackMs) };
}

/** Tells the refusal to this user only. Slack gets 200: the button worked, and the refusal is no error of Slack's. */
async function tellAlone(
  call: Call,
  channel: SlackChannel,
  { user, container }: Pressed,
  refused: Refusal,
): Promise<Answer> {
  const body = {
    channel: container?.channel_id ?? channel.channel,
    user: user.id,
    text: refusalText(refused),
    mrkdwn: false,
  };
  const told = await callSlack(channel, 'chat.postEphemeral', body, slackOptions(call));
  if (told.status !== 'ok')
    call.deps.log(`${call.requestId}: Slack did not tell a user of a refusal: ${told.detail}`);
  return answer(200);
}

/** How long to wait for the run: after three seconds Slack shows an error, though the decision is durable by then. */
const decideMs = 1_500;

/** Lets the call act as the person behind the Slack user, with the rights that they have whenever it is asked. */
async function becomePerson(call: Call, signed: SignedRequest, user: string): Promise<SlackPerson> {
  const person = await slackPerson(call, signed.channels, user);
  if (person.kind === 'refusal') return person;
  call.principal = person.principal;
  const readNow = async (): Promise<Principal | null> => {
    const now = await slackPersonNow(call, await signed.channelsNow(), user);
    return now.kind === 'person' ? now.principal : null;
  };
  call.credential = { readAt: signed.readAt, readNow };
  return person;
}

/** Decides by what the window has sent. */
async function onWindow(call: Call, signed: SignedRequest, { user, view }: Submitted): Promise<Reply> {
  if (view.callback_id !== modalId) return unreadable('/payload/view/callback_id');
  const read = parseJson(windowMetadata, view.private_metadata, '/payload/view/private_metadata');
  if (read.kind === 'problem') return read;
  const { approval, digest, decision } = read.value;
  const person = await becomePerson(call, signed, user.id);
  if (person.kind === 'refusal') return windowError(recordRefusal(call, read.value, person));
  const { principal } = person;
  const reason = view.state.values[reasonInput.block]?.[reasonInput.action]?.value ?? '';
  call.idBase = idBaseOfWindow(view.id, principal.id, read.value, reason);
  const body = { decision, digest, reason };
  const found = await visibleApproval(callerOf(call), approval);
  const made =
    found.kind === 'refusal'
      ? found
      : await decide(callerOf(call), found, body, { via: 'slack', waitMs: decideMs });
  if (made.kind === 'refusal') {
    const now = isUnavailable(made)
      ? await slackPersonNow(call, await signed.channelsNow(), user.id)
      : person;
    // Another try would come to this.
    const next = now.kind === 'refusal' ? { ...made, detail: `${made.detail}; ${now.detail}` } : made;
    return windowError(recordRefusal(call, read.value, next));
  }
  const taken = made.kind === 'applied';
  return answer(200, {
    response_action: 'update',
    view: saidModal(
      taken ? (decision === 'approve' ? 'Approved' : 'Denied') : 'Not applied yet',
      taken
        ? `You have ${decision === 'approve' ? 'approved' : 'denied'} this. The run has taken your decision.`
        : 'Your decision is kept. The run takes it as soon as it can be reached.',
    ),
  });
}

/** The same for the same window as it was filled in, so that a window that is sent twice makes only one decision. */
function idBaseOfWindow(
  view: string,
  person: string,
  { approval, digest, decision }: WindowMetadata,
  reason: string,
): string {
  return createHash('sha256')
    .update(JSON.stringify(['slack', view, person, approval, digest, decision, reason]))
    .digest('hex')
    .slice(0, 32);
}

function windowError(refused: Refusal): Answer {
  return answer(200, { response_action: 'errors', errors: { [reasonInput.block]: refusalText(refused) } });
}

/** Slack is answered 200, so the refusal is put on record here, unless a more exact fact of it is there. */
function recordRefusal(call: Call, { approval, decision }: WindowMetadata, refused: Refusal): Refusal {
  const { facts, recordedByRun } = call.trail;
  if (recordedByRun || facts.some((fact) => fact.type === 'approval.refused')) return refused;
  const { why } = refused.extra;
  note(call, {
    type: 'request.refused',
    data: {
      code: refused.code,
      route: path,
      approval,
      decision,
      ...(typeof why === 'string' ? { why } : {}),
    },
  });
  return refused;
}

/**
 * If the run could not be asked, the detail says whether the decision is kept; else says that nothing was decided, or nothing
 * more.
 */
function refusalText(refused: Refusal): string {
  const { detail, extra } = refused;
  if (isUnavailable(refused)) return toLine(detail, 1_000);
  const more = extra['why'] === 'already_decided' ? 'Nothing more' : 'Nothing';
  return toLine(`${more} was decided: ${detail}`, 1_000);
}
