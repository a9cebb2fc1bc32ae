import assert from 'node:assert/strict';
import { createServer, type AddressInfo } from 'node:net';
import { after, before, describe, it } from 'node:test';
import { SMTPServer } from 'smtp-server';
import { deliverEmail } from '../../src/notify/channels/email/email.js';
import { callSlack } from '../../src/notify/channels/slack/api.js';
import { deliverWebhook } from '../../src/notify/channels/webhook/webhook.js';
import type { Around, Delivered, Notification } from '../../src/notify/types.js';

// What a reference holds can be mended while messages wait: none fails for good over it, and none shows it.

const notification: Notification = {
  ...{ id: 'ntf_1', event: 'requested', approval: 'apr_1', run: 'run_1', at: '', attempt: 1, body: {} },
  ...{ recipient: 'ann@example.com', url: null, link: null, earlier: null },
};
const around = (value: string): Around => ({
  references: { env: { VALUE: value, SECRET: good }, secretsDirectory: null },
  signal: AbortSignal.timeout(20_000),
  now: () => new Date(),
  webhookKey: { published: '', sign: (bytes) => bytes },
  gone: () => Promise.resolve([]),
  longer: (ms) => AbortSignal.timeout(ms),
});
const good = `whsec_${Buffer.alloc(32, 5).toString('base64')}`;

const viaMail = (smtp: string): Promise<Delivered> =>
  deliverEmail(
    {
      ...{ kind: 'email', name: 'mail', smtp: 'env://VALUE', from: 'no-reply@example.com' },
      ...{ allowPrivate: true, to: [{ address: 'ann@example.com', principal: null }] },
    },
    notification,
    around(smtp),
  );
const viaHook = (url: string, secret = 'env://SECRET', value = url): Promise<Delivered> =>
  deliverWebhook(
    {
      ...{ kind: 'webhook', name: 'hook', url, secrets: [secret], signing: 'hmac', content: 'thin' },
      allowPrivate: true,
    },
    notification,
    around(value),
  );
const viaSlack = async (token: string, api: string): Promise<Delivered> => {
  const answer = await callSlack(
    {
      ...{ kind: 'slack', name: 'on-call', token: 'env://VALUE', signingSecret: 'env://SECRET' },
      ...{ channel: 'C0123', users: {}, api, allowPrivate: true },
    },
    'chat.postMessage',
    {},
    around(token),
  );
  return answer.status === 'ok' ? { status: 'delivered', detail: '' } : answer;
};

describe('a message whose reference holds what is none', () => {
  const secret = 'Al#$A';
  const waits = ({ status, detail }: Delivered, says: RegExp): void => {
    assert.equal(status, 'retry', detail);
    assert.match(detail, says);
    for (const part of [secret, 'AKIA', 'tok'])
      assert.ok(!detail.toLowerCase().includes(part.toLowerCase()), detail);
  };

  it('of a relay is tried again, and says how user and password are written', async () => {
    for (const smtp of [
      `smtp://bot@acme.com:${secret}@1@127.0.0.1:2525`,
      'smtp://bot:half%of@127.0.0.1',
      'smtp://bot:a/b@127.0.0.1',
      'smtp://bot:1?b@127.0.0.1',
      'mail.example.com:587',
      'https://mail.example.com',
      'smtp://',
    ])
      waits(await viaMail(smtp), /^its `smtp` is no .*percent-encode user and password/);
  });

  it('is given to no host that a raw `/` in its credentials makes of them', async (t) => {
    const server = createServer();
    t.after(() => server.close());
    let connections = 0;
    server.on('connection', (socket) => {
      connections += 1;
      socket.destroy();
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const { port } = server.address() as AddressInfo;
    for (const rest of [`${port}/rest@mail.example.com`, `${port}/x`, `${port}//`])
      waits(await viaMail(`smtp://127.0.0.1:${rest}`), /percent-encode user and password/);
    assert.equal(connections, 0);
    // The address itself may end with a slash.
    assert.match((await viaMail(`smtp://127.0.0.1:${port}/`)).detail, /^no answer/);
    assert.equal(connections, 1);
  });

  it('of a webhook is tried again, and says what its address is made of', async () => {
    for (const url of [
      `127.0.0.1:9/${secret}`,
      'hooks.example.com/in',
      'localhost:9/in',
      'ftp://hooks.example.com/in',
      'https://bot:tok@hooks.example.com/in',
      'https://hooks.example.com/in#tok',
    ])
      waits(await viaHook('env://VALUE', 'env://SECRET', url), /^its `url` is no http address/);
    for (const value of [secret, 'whsec_AAAA', good.replace('whsec_', ''), `${good}!`])
      waits(
        await viaHook('http://127.0.0.1:9/', 'env://VALUE', value),
        /^its secret is none: write `whsec_`/,
      );
  });

  it('of Slack is tried again', async () => {
    waits(await viaSlack('tok\nen', 'http://127.0.0.1:9/api'), /^Slack: header `authorization`:/);
  });
});

describe('a message to a server whose certificate is not accepted', () => {
  const server = new SMTPServer({ authOptional: true, secure: true });
  before(() => {
    server.on('error', () => undefined);
    return new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  });
  after(() => new Promise<void>((resolve) => server.close(resolve)));

  it('is tried again, by whichever channel: a certificate is renewed', async () => {
    const { port } = server.server.address() as AddressInfo;
    const answers = [
      await viaHook(`https://127.0.0.1:${port}/in`),
      await viaSlack('tok', `https://127.0.0.1:${port}/api`),
      await viaMail(`smtps://127.0.0.1:${port}`),
    ];
    for (const { status, detail } of answers) {
      assert.equal(status, 'retry', detail);
      assert.match(detail, /certificate is not accepted \(/);
    }
  });
});
