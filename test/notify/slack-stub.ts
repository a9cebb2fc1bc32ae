import { createHmac, randomUUID } from 'node:crypto';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { SlackChannel } from '../../src/model/contract/notifications.js';

// Slack, as somebody else's service over the wire: its Web API, and what its buttons and windows send.

export interface SlackCall {
  readonly method: string;
  readonly authorization: string;
  readonly body: any;
}

export interface SlackStub {
  readonly api: string;
  readonly calls: SlackCall[];
  /** The next answers, in order; then `{ok: true}` again. `hang`: none ever. */
  readonly next: ({ status?: number; headers?: Record<string, string>; body: unknown } | { hang: true })[];
  of(method: string): any[];
  /** Resolves with what was sent to this method, when so many have come. */
  count(method: string, wanted: number): Promise<any[]>;
  stop(): Promise<void>;
}

export const token = 'xoxb-token-of-the-test';
export const signingSecret = 'signing-secret-of-the-test';
export const references = {
  env: { SLACK_BOT_TOKEN: token, SLACK_SIGNING_SECRET: signingSecret },
  secretsDirectory: null,
};

export async function startSlack(): Promise<SlackStub> {
  const calls: SlackCall[] = [];
  const next: SlackStub['next'] = [];
  let posted = 0;
  let changed = (): void => undefined;
  const of = (method: string): any[] =>
    calls.filter((call) => call.method === method).map((call) => call.body);
  const server = createServer((request, response) => {
    const chunks: Buffer[] = [];
    request.on('data', (chunk: Buffer) => chunks.push(chunk));
    request.on('end', () => {
      const body = JSON.parse(Buffer.concat(chunks).toString('utf8'));
      const method = (request.url ?? '').replace('/api/', '');
      calls.push({ method, authorization: request.headers.authorization ?? '', body });
      changed();
      const planned = next.shift();
      if (planned !== undefined && 'hang' in planned) return;
      const ts = `1700000000.${String((posted += 1)).padStart(6, '0')}`;
      response.writeHead(planned?.status ?? 200, {
        'content-type': 'application/json',
        ...planned?.headers,
      });
      response.end(JSON.stringify(planned?.body ?? { ok: true, channel: body.channel, ts }));
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    api: `http://127.0.0.1:${(server.address() as AddressInfo).port}/api`,
    calls,
    next,
    of,
    count: async (method, wanted) => {
      while (of(method).length < wanted) await new Promise<void>((resolve) => (changed = resolve));
      return of(method);
    },
    stop: async () => {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

export function slackChannel(api: string, users: Readonly<Record<string, string>> = {}): SlackChannel {
  return {
    kind: 'slack',
    name: 'money',
    token: 'env://SLACK_BOT_TOKEN',
    channel: 'C0MONEY',
    signingSecret: 'env://SLACK_SIGNING_SECRET',
    users,
    api,
    allowPrivate: true,
  };
}

/** `notifications.yaml` with one Slack channel, told of everything. */
export function slackPolicy(api: string, users: Readonly<Record<string, string>>): string {
  const { name: _name, ...channel } = slackChannel(api, users);
  return JSON.stringify({
    version: 1,
    publicUrl: 'https://countersign.example',
    channels: { money: channel },
    routes: [{ to: ['money'] }],
  });
}

export interface Signing {
  readonly secret?: string;
  /** Seconds that its time stamp is off. */
  readonly late?: number;
}

export interface SignedRequest {
  readonly body: string;
  readonly headers: Record<string, string>;
}

export function signed(payload: unknown, { secret = signingSecret, late = 0 }: Signing = {}): SignedRequest {
  const body = new URLSearchParams({ payload: JSON.stringify(payload) }).toString();
  const timestamp = String(Math.floor(Date.now() / 1_000) - late);
  const mac = createHmac('sha256', secret).update(`v0:${timestamp}:${body}`).digest('hex');
  return {
    body,
    headers: {
      'content-type': 'application/x-www-form-urlencoded',
      'x-slack-request-timestamp': timestamp,
      'x-slack-signature': `v0=${mac}`,
    },
  };
}

export const pressing = (user: string, decision: string, value: object): object => ({
  type: 'block_actions',
  user: { id: user, username: 'whoever', team_id: 'T1' },
  trigger_id: randomUUID(),
  container: { type: 'message', channel_id: 'C0MONEY', message_ts: '1700000000.000001' },
  actions: [
    {
      action_id: `countersign.${decision}`,
      block_id: 'countersign',
      type: 'button',
      value: JSON.stringify(value),
    },
  ],
});

export const submitting = (
  user: string,
  metadata: object,
  { reason = null, view = `V${randomUUID()}` }: { reason?: string | null; view?: string } = {},
): object => ({
  type: 'view_submission',
  user: { id: user },
  trigger_id: randomUUID(),
  view: {
    id: view,
    callback_id: 'countersign.decide',
    private_metadata: JSON.stringify(metadata),
    state: { values: { reason: { text: { type: 'plain_text_input', value: reason } } } },
  },
});
