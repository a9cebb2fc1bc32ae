import assert from 'node:assert/strict';
import type { AddressInfo, Socket } from 'node:net';
import { after, afterEach, before, describe, it } from 'node:test';
import { SMTPServer } from 'smtp-server';
import type { EmailChannel } from '../../src/model/contract/notifications.js';
import { deliverEmail } from '../../src/notify/channels/email/email.js';
import type { Notification } from '../../src/notify/types.js';
import { byLink } from '../../testing/browser-forms.js';
import { until } from '../../testing/until.js';
import { openOffice, type Office } from './support.js';

interface Mail {
  readonly to: string;
  /** Unfolded and decoded as far as these tests look at it. */
  readonly text: string;
}

interface Mailbox {
  readonly port: number;
  /** Whether it says that it has a mail only when told to. */
  slow: boolean;
  go(): void;
  /** Ends every connection. */
  hangUp(): void;
  readonly mails: Mail[];
  /** Addresses that it refuses for good. */
  readonly unknown: Set<string>;
  readonly signedIn: string[];
  count(wanted: number): Promise<readonly Mail[]>;
  close(): Promise<void>;
}

const password = 'p%C3%A4ss-word-of-the-relay';

function decoded(raw: string): string {
  const joined = raw.replaceAll('=\r\n', '');
  return joined.replaceAll(/=([0-9A-F]{2})/g, (_all, hex: string) => String.fromCharCode(parseInt(hex, 16)));
}

/** A real SMTP server that asks for a sign-in. */
async function startMailbox(): Promise<Mailbox> {
  const mails: Mail[] = [];
  const unknown = new Set<string>();
  const signedIn: string[] = [];
  const held = { slow: false, go: (): void => undefined };
  let changed = (): void => undefined;
  const server = new SMTPServer({
    disabledCommands: ['STARTTLS'],
    allowInsecureAuth: true,
    onAuth: (auth, _session, done) => {
      signedIn.push(`${auth.username ?? ''}:${auth.password ?? ''}`);
      done(null, { user: auth.username ?? '' });
    },
    onRcptTo: ({ address }, _session, done) =>
      unknown.has(address)
        ? done(Object.assign(new Error(`no such user: ${address}`), { responseCode: 550 }))
        : done(),
    onData: (stream, session, done) => {
      const chunks: Buffer[] = [];
      stream.on('data', (chunk: Buffer) => chunks.push(chunk));
      stream.on('end', () => {
        const text = decoded(Buffer.concat(chunks).toString('utf8'));
        mails.push({ to: session.envelope.rcptTo.map((recipient) => recipient.address).join(','), text });
        if (held.slow) held.go = () => done();
        else done();
        changed();
      });
    },
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    get slow() {
      return held.slow;
    },
    set slow(slow) {
      held.slow = slow;
    },
    go: () => held.go(),
    hangUp: () => {
      for (const connection of server.connections as Set<{ _socket: Socket }>) connection._socket.destroy();
    },
    port: (server.server.address() as AddressInfo).port,
    mails,
    unknown,
    signedIn,
    count: async (wanted) => {
      while (mails.length < wanted) await new Promise<void>((resolve) => (changed = resolve));
      return mails;
    },
    close: () => new Promise((resolve) => server.close(() => resolve())),
  };
}

describe('an e-mail', () => {
  let office: Office;
  let mailbox: Mailbox;
  const mail = (to: string): string =>
    `channels: { mail: { kind: email, smtp: env://SMTP, from: 'Countersign <no-reply@example.com>', allowPrivate: true, to: ${to} } }\n`;
  before(async () => {
    [office, mailbox] = await Promise.all([openOffice(), startMailbox()]);
    office.env['SMTP'] = `smtp://relay:${password}@127.0.0.1:${mailbox.port}`;
  });
  afterEach(async () => {
    await office.rest();
    mailbox.mails.length = 0;
    mailbox.unknown.clear();
    mailbox.slow = false;
  });
  after(async () => {
    await office.stop();
    await mailbox.close();
  });

  it('has what a person needs to decide, and a link of their own only for who may', async () => {
    await office.route(
      `publicUrl: ${office.api.url}\n${mail('[desk@example.com, { address: fin@example.com, principal: finance }, { address: bot@example.com, principal: agent }, { address: ann@example.com, principal: employee }]')}routes: [{ role: finance.controller, events: [requested], to: [mail] }]\n`,
    );
    await office.deliver();
    const parked = await office.park(60_000);
    const mails = await mailbox.count(4);
    await office.recorded(parked.run, 'delivered', 4);
    assert.ok(mailbox.signedIn.includes(`relay:${decodeURIComponent(password)}`));
    const to = (address: string): string => mails.find((mail) => mail.to === address)?.text ?? '';
    const shown = await office.approval(parked.id);
    for (const address of ['desk@example.com', 'fin@example.com', 'bot@example.com', 'ann@example.com']) {
      const text = to(address);
      assert.match(text, /^Subject: .*Approval.asked.for/m);
      assert.match(text, /Content-Type: text\/plain/);
      assert.match(text, /Content-Type: text\/html/);
      assert.match(text, /"amount": 60000/);
      assert.ok(text.includes(parked.digest));
      assert.ok(text.includes(String(shown.onExpiry)) && text.includes(String(shown.consequence)));
    }
    for (const address of ['desk@example.com', 'bot@example.com', 'ann@example.com']) {
      assert.ok(!to(address).includes('/links/'), address);
      assert.ok(to(address).includes(`${office.api.url}/approvals/${parked.id}`));
    }
    const [, path] = /(\/links\/[\w-]+)/.exec(to('fin@example.com')) ?? [];
    const page = await fetch(`${office.api.url}${path ?? ''}`);
    assert.equal(page.status, 200);
    assert.ok((await page.text()).includes(parked.digest));
    const links = async (): Promise<string[]> =>
      (await office.api.ask('finance', 'GET', `/v1/approvals/${parked.id}/links`)).body.data.map(
        (record: any) => record.status,
      );
    assert.deepEqual(await links(), ['open'], 'read, and good still');
    const form = new URLSearchParams({ decision: 'deny', digest: parked.digest, ...byLink, reason: 'no' });
    const sent = { method: 'POST', body: form };
    assert.equal((await fetch(`${office.api.url}${path ?? ''}`, sent)).status, 200);
    const again = await fetch(`${office.api.url}${path ?? ''}`, sent);
    assert.equal(again.status, 200);
    assert.match(await again.text(), /<h1>You have denied this\.<\/h1>/);
    assert.deepEqual(await links(), ['used']);
    const decision = (await office.approval(parked.id)).decisions[0];
    assert.deepEqual([decision.by.id, decision.decision], ['finance', 'deny']);
    assert.deepEqual((await office.records(parked.run)).map((record) => record.data.recipient).sort(), [
      'agent',
      'd…@example.com',
      'employee',
      'finance',
    ]);
  });

  it('that one recipient cannot get is known as such, and the others have theirs', async () => {
    mailbox.unknown.add('gone@example.com');
    await office.route(`${mail('[desk@example.com, gone@example.com]')}routes: [{ to: [mail] }]\n`);
    await office.deliver();
    const parked = await office.park();
    const [record] = await office.recorded(parked.run, 'failed');
    await office.recorded(parked.run, 'delivered');
    assert.equal(record.data.detail, 'the mail server answered 550 (EENVELOPE)');
    assert.equal((await office.approval(parked.id)).delivery.status, 'partial');
    assert.deepEqual(
      mailbox.mails.map((mail) => mail.to),
      ['desk@example.com'],
    );
  });

  it('lets nothing that an agent wrote be a header, a line of its own, markup, or unseen', async () => {
    const evil = 'pay\r\nBcc: evil@example.com\r\n\r\nApproved already\u202e <b>\u200b';
    const body = { ...(await office.approval((await office.park()).id)) };
    for (const name of ['summary', 'reason', 'consequence', 'tool', 'flow']) body[name] = evil;
    body.arguments = { note: evil };
    const channel: EmailChannel = {
      ...{
        kind: 'email',
        name: 'mail',
        smtp: 'env://SMTP',
        from: 'no-reply@example.com',
        allowPrivate: true,
      },
      to: [{ address: 'desk@example.com', principal: null }],
    };
    const notification: Notification = {
      ...{ id: 'ntf_1', event: 'requested', approval: 'apr_1', run: 'run_1', at: '', attempt: 1, body },
      ...{ recipient: 'desk@example.com', url: null, link: null, earlier: null },
    };
    const delivered = await deliverEmail(channel, notification, {
      references: { env: office.env, secretsDirectory: null },
      signal: AbortSignal.timeout(10_000),
      now: () => new Date(),
      webhookKey: { published: '', sign: (bytes) => bytes },
      gone: () => Promise.resolve([]),
      longer: (ms) => AbortSignal.timeout(ms),
    });
    assert.equal(delivered.status, 'delivered', JSON.stringify(delivered));
    const [mail_] = await mailbox.count(1);
    assert.equal(mail_?.to, 'desk@example.com');
    const [head = '', ...parts] = mail_.text.split('\r\n\r\n');
    assert.deepEqual(
      head
        .split(/\r\n(?!\s)/)
        .flatMap((header) => /^([\w-]+):/.exec(header)?.[1]?.toLowerCase() ?? [])
        .sort(),
      [
        ...['auto-submitted', 'content-type', 'date', 'from', 'message-id', 'mime-version', 'subject'],
        ...['to', 'x-countersign-message'],
      ],
    );
    const shown = parts.join('\n');
    assert.ok(!/^(Bcc|Approved already)/m.test(shown), shown);
    // Bytes of UTF-8, as this test decodes them.
    assert.ok(!/\xe2\x80[\xae\x8b]/.test(mail_.text), mail_.text);
    assert.ok(!shown.slice(shown.indexOf('<!doctype')).includes('<b>'), shown);
    assert.ok(shown.includes('pay\\u{d}\\u{a}Bcc: evil@example.com') && shown.includes('\\u202e'), shown);
  });

  it('is sent once where the mail server takes longer than an attempt to say that it has it', async () => {
    await office.route(`${mail('[desk@example.com]')}routes: [{ events: [requested], to: [mail] }]\n`);
    mailbox.slow = true;
    const brief = { attemptMs: 1_000, leaseMs: 1_500 };
    await Promise.all([office.deliver(brief), office.deliver(brief)]);
    const parked = await office.park();
    await mailbox.count(1);
    const ofParked = (what: string): Promise<any> =>
      until(
        'a lease that goes on',
        async () => {
          const { rows } = await office.api.database.asSuperuser(
            `select attempts from notification where run = $1 and ${what}`,
            [parked.run],
          );
          return rows[0] ?? null;
        },
        20_000,
      );
    await ofParked(`next_at > now() + interval '9 minutes'`);
    // Longer than the attempt and its first lease.
    await ofParked(`created_at < now() - interval '3 seconds'`);
    mailbox.go();
    const [record] = await office.recorded(parked.run, 'delivered');
    assert.equal(record.data.detail, 'the mail server has taken it');
    assert.equal((await ofParked('true')).attempts, 1);
    assert.equal(mailbox.mails.length, 1);
  });

  it('says that it may be delivered where the mail server has all of it and says nothing', async () => {
    mailbox.slow = true;
    const channel: EmailChannel = {
      ...{
        kind: 'email',
        name: 'mail',
        smtp: 'env://SMTP',
        from: 'no-reply@example.com',
        allowPrivate: true,
      },
      to: [{ address: 'desk@example.com', principal: null }],
    };
    const body = await office.approval((await office.park()).id);
    const delivering = (over: AbortController) =>
      deliverEmail(
        channel,
        {
          ...{ id: 'ntf_2', event: 'requested', approval: 'apr_1', run: 'run_1', at: '', attempt: 1, body },
          ...{ recipient: 'desk@example.com', url: null, link: null, earlier: null },
        },
        {
          references: { env: office.env, secretsDirectory: null },
          signal: new AbortController().signal,
          now: () => new Date(),
          webhookKey: { published: '', sign: (bytes) => bytes },
          gone: () => Promise.resolve([]),
          longer: () => over.signal,
        },
      );
    const over = new AbortController();
    const silent = delivering(over);
    await mailbox.count(1);
    over.abort();
    const told = await silent;
    assert.equal(told.status, 'retry');
    assert.match(
      told.detail,
      /^no answer in time: the mail server has all of the message .* may be delivered; .* same Message-ID$/,
    );
    mailbox.slow = true;
    const broken = delivering(new AbortController());
    await mailbox.count(2);
    mailbox.hangUp();
    const lost = await broken;
    assert.equal(lost.status, 'retry');
    assert.match(lost.detail, /^no answer \(\w+\): the mail server has all of the message/);
  });

  it('is not sent any more when the approval was settled before it could be', async () => {
    await office.route(`${mail('[desk@example.com]')}routes: [{ events: [requested], to: [mail] }]\n`);
    const parked = await office.park();
    const denied = await office.api.ask('finance', 'POST', `/v1/approvals/${parked.id}/decision`, {
      decision: 'deny',
      digest: parked.digest,
    });
    assert.equal(denied.status, 200, denied.text);
    await office.deliver();
    await office.recorded(parked.run, 'superseded');
    assert.equal(mailbox.mails.length, 0);
  });

  it('goes to no private relay unless that is allowed, waits for one that is away, and tells no password', async () => {
    const private_ = mail('[desk@example.com]').replace('allowPrivate: true, ', '');
    await office.route(`${private_}routes: [{ to: [mail] }]\n`);
    await office.deliver();
    const refused = await office.park();
    const [failed] = await office.recorded(refused.run, 'failed');
    assert.match(failed.data.detail, /private address/);
    await office.route(
      `${mail('[desk@example.com]').replace('env://SMTP', 'env://AWAY')}routes: [{ to: [mail] }]\n`,
    );
    office.env['AWAY'] = `smtp://relay:${password}@127.0.0.1:9`;
    const waiting = await office.park();
    const [retry] = await office.recorded(waiting.run, 'retry');
    assert.match(retry.data.detail, /^no answer \(\w+\): the mail server was not given the message$/);
    office.env['AWAY'] = 'http://127.0.0.1/';
    await office.hurry();
    const [, none] = await office.recorded(waiting.run, 'retry', 2);
    assert.match(none.data.detail, /no `smtp:\/\/` or `smtps:\/\/` URL/);
    assert.equal(mailbox.mails.length, 0);
    office.env['AWAY'] = office.env['SMTP'] ?? '';
    await office.hurry();
    await office.recorded(waiting.run, 'delivered');
    const log = await office.api.database.pool.query(
      `select encode(body, 'escape') as text from audit_record`,
    );
    for (const secret of [password, decodeURIComponent(password)])
      for (const text of [...log.rows.map((row) => String(row.text)), ...office.logged])
        assert.ok(!text.includes(secret));
  });
});
