import { createHmac, timingSafeEqual } from 'node:crypto';
import { resolveTexts } from '../../executors/connections/references.js';
import type { SlackChannel } from '../../model/contract/notifications.js';
import { takeSlackRequest } from '../../store/people/slack.js';
import type { Call } from '../http/call.js';

// Does this request come from Slack? https://docs.slack.dev/authentication/verifying-requests-from-slack

export interface SignedRequest {
  readonly status: 'signed';
  /** When the channels began to be read, by `performance.now()`. */
  readonly readAt: number;
  /** The channels whose signing secret the request was signed with: at least one. */
  readonly channels: readonly SlackChannel[];
  /** Those of them, as they are declared now, whose signing secret of now it was signed with. */
  readonly channelsNow: () => Promise<readonly SlackChannel[]>;
}

/** `reason` is only for the record: the sender learns that its signature was refused, but not why. */
interface Refused {
  readonly status: 'refused';
  readonly reason: 'no_signature' | 'stale' | 'no_slack' | 'no_secret' | 'bad_signature' | 'replayed';
}

interface Head {
  readonly status: 'head';
  readonly timestamp: string;
  readonly given: Buffer;
  readonly channels: readonly SlackChannel[];
}

const goodForMs = 300_000;

/** Checks what can be checked before the body is read. */
export async function readHead(call: Call): Promise<Head | Refused> {
  const { headers } = call.request;
  const [timestamp, signature] = [headers['x-slack-request-timestamp'], headers['x-slack-signature']];
  if (typeof timestamp !== 'string' || !/^\d{1,12}$/.test(timestamp)) return refuseRequest('no_signature');
  if (typeof signature !== 'string' || !/^v0=[0-9a-f]{64}$/.test(signature))
    return refuseRequest('no_signature');
  const age = call.deps.now().getTime() - Number(timestamp) * 1_000;
  if (Math.abs(age) > goodForMs) return refuseRequest('stale');
  const channels = await slackChannels(call);
  if (channels.length === 0) return refuseRequest('no_slack');
  return { status: 'head', timestamp, given: Buffer.from(signature.slice('v0='.length), 'hex'), channels };
}

export async function verifySlack(call: Call, bytes: Buffer): Promise<SignedRequest | Refused> {
  const readAt = performance.now();
  const head = await readHead(call);
  if (head.status === 'refused') return head;
  const { timestamp, given, channels } = head;
  const judge = (declared: readonly SlackChannel[]): Promise<Verdict[]> =>
    Promise.all(declared.map((channel) => verifySignature(call, channel, { timestamp, bytes, given })));
  const judged = await judge(channels);
  if (judged.every((verdict) => verdict === 'no_secret')) return refuseRequest('no_secret');
  const matching = channels.filter((_, index) => judged[index] === 'yes');
  if (matching.length === 0) return refuseRequest('bad_signature');
  if (!(await takeSlackRequest(call.deps.pool, given))) return refuseRequest('replayed');
  const names = matching.map(({ name }) => name);
  const channelsNow = async (): Promise<readonly SlackChannel[]> => {
    const same = (await slackChannels(call)).filter(({ name }) => names.includes(name));
    const verdicts = await judge(same);
    return same.filter((_, index) => verdicts[index] === 'yes');
  };
  return { status: 'signed', readAt, channels: matching, channelsNow };
}

function refuseRequest(reason: Refused['reason']): Refused {
  return { status: 'refused', reason };
}

async function slackChannels(call: Call): Promise<readonly SlackChannel[]> {
  const declared = (await call.deps.policies.policySet())?.notifications?.channels ?? [];
  return declared.filter((channel) => channel.kind === 'slack');
}

interface Given {
  readonly timestamp: string;
  readonly bytes: Buffer;
  readonly given: Buffer;
}

type Verdict = 'yes' | 'no' | 'no_secret';

async function verifySignature(
  call: Call,
  { signingSecret }: SlackChannel,
  { timestamp, bytes, given }: Given,
): Promise<Verdict> {
  const resolved = await resolveTexts([signingSecret], call.deps.references);
  const secret = resolved.status === 'resolved' ? (resolved.texts[0] ?? '') : '';
  if (secret === '') return 'no_secret';
  const mac = createHmac('sha256', secret).update(`v0:${timestamp}:`).update(bytes).digest();
  return timingSafeEqual(mac, given) ? 'yes' : 'no';
}
