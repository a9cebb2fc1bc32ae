import assert from 'node:assert/strict';
import dns from 'node:dns';
import { syncBuiltinESMExports } from 'node:module';
import { createServer, type AddressInfo, type Server, type Socket } from 'node:net';
import { describe, it, type TestContext } from 'node:test';
import { SMTPServer } from 'smtp-server';
import { deliverEmail } from '../../src/notify/channels/email/email.js';
import type { Delivered } from '../../src/notify/types.js';

// What mail servers answer, and where they listen. No server of ours is needed.

type Refusals = Partial<Record<'MAIL' | 'RCPT' | 'message', string>>;

/** A mail server that answers as it is told, and takes the rest. */
async function startServer(refusals: Refusals = {}): Promise<{ port: number; server: Server }> {
  const server = createServer((socket: Socket) => {
    const say = (line: string): void => void socket.write(`${line}\r\n`);
    let inMessage = false;
    let text = '';
    const take = (line: string): void => {
      const verb = line.slice(0, 4).toUpperCase();
      if (inMessage) {
        inMessage = line !== '.';
        if (!inMessage) say(refusals.message ?? '250 2.0.0 taken');
      } else if (verb === 'DATA') {
        inMessage = true;
        say('354 go on');
      } else say((verb === 'MAIL' || verb === 'RCPT' ? refusals[verb] : undefined) ?? '250 well');
    };
    socket.on('error', () => undefined);
    socket.on('data', (chunk: Buffer) => {
      text += chunk.toString('latin1');
      const lines = text.split('\r\n');
      text = lines.pop() ?? '';
      lines.forEach(take);
    });
    say('220 ready');
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return { port: (server.address() as AddressInfo).port, server };
}

function deliver(smtp: string): Promise<Delivered> {
  return deliverEmail(
    {
      ...{ kind: 'email', name: 'mail', smtp: 'env://SMTP', from: 'no-reply@example.com' },
      ...{ allowPrivate: true, to: [{ address: 'ann@example.com', principal: null }] },
    },
    {
      ...{ id: 'ntf_1', event: 'requested', approval: 'apr_1', run: 'run_1', at: '', attempt: 1, body: {} },
      ...{ recipient: 'ann@example.com', url: null, link: null, earlier: null },
    },
    {
      references: { env: { SMTP: smtp }, secretsDirectory: null },
      signal: AbortSignal.timeout(20_000),
      now: () => new Date(),
      webhookKey: { published: '', sign: (bytes) => bytes },
      gone: () => Promise.resolve([]),
      longer: (ms) => AbortSignal.timeout(ms),
    },
  );
}

describe('a mail that its server refuses', () => {
  const answered = async (refusals: Refusals): Promise<Delivered> => {
    const { port, server } = await startServer(refusals);
    try {
      return await deliver(`smtp://127.0.0.1:${port}`);
    } finally {
      server.close();
    }
  };

  it('has failed where the mailbox is none', async () => {
    const final: [Refusals, string][] = [
      [{ RCPT: '550 5.1.1 user unknown' }, '550 5.1.1'],
      [{ RCPT: '550-5.1.1 no such user\r\n550 5.1.1 look again' }, '550 5.1.1'],
      [{ RCPT: '556 5.1.10 takes no mail' }, '556 5.1.10'],
      [{ RCPT: '550 no such user here' }, '550'],
      [{ RCPT: '551 user not local' }, '551'],
      [{ RCPT: '553 mailbox name not allowed' }, '553'],
      [{ message: '550 5.1.1 user unknown' }, '550 5.1.1'],
    ];
    for (const [refusals, said] of final) {
      const { status, detail } = await answered(refusals);
      assert.equal(status, 'failed', JSON.stringify(refusals));
      assert.match(detail, new RegExp(`^the mail server answered ${said} \\(\\w+\\)$`));
    }
  });

  it('is tried again where an operator can mend it, or it may pass', async () => {
    const passing: Refusals[] = [
      { MAIL: '530 5.7.57 client not authenticated' },
      { MAIL: '550 5.7.60 may not send as this sender' },
      { MAIL: '550 sender rejected' },
      { MAIL: '550 5.1.0 sender rejected' },
      { RCPT: '550 5.1.8 domain of the sender not found' },
      { RCPT: '550 5.4.5 daily quota exceeded' },
      { RCPT: '554 5.7.1 relay access denied' },
      { RCPT: '554 relay access denied' },
      { RCPT: '552 5.2.2 mailbox full' },
      { RCPT: '450 4.2.1 later' },
      { message: '554 Message rejected: Email address is not verified' },
      { message: '550 looks like spam' },
      { message: '454 throttled' },
    ];
    for (const refusals of passing) {
      const { status, detail } = await answered(refusals);
      assert.equal(status, 'retry', JSON.stringify(refusals));
      assert.match(detail, /^the mail server answered \d{3}( \d\.\d+\.\d+)? \(\w+\)$/);
    }
    assert.equal((await answered({})).status, 'delivered');
  });
});

describe('a mail server', () => {
  const atAddresses = (t: TestContext, addresses: readonly dns.LookupAddress[]): void => {
    const lookup = t.mock.method(dns.promises, 'lookup', () => Promise.resolve(addresses));
    syncBuiltinESMExports();
    t.after(() => {
      lookup.mock.restore();
      syncBuiltinESMExports();
    });
  };

  it('is tried at each of its addresses', async (t) => {
    const { port, server } = await startServer();
    t.after(() => server.close());
    const v4 = { address: '127.0.0.1', family: 4 };
    // Nobody listens at the first, and from most networks nothing leads to the second.
    for (const address of ['::1', '2001:db8::1']) {
      atAddresses(t, [{ address, family: 6 }, v4]);
      const { status, detail } = await deliver(`smtp://mail.example:${port}`);
      assert.equal(status, 'delivered', `${address}: ${detail}`);
    }
    server.close();
    const { status, detail } = await deliver(`smtp://mail.example:${port}`);
    assert.equal(status, 'retry');
    assert.match(detail, /^no answer \(E[A-Z]+\): the mail server was not given the message$/);
  });

  it('whose certificate is not accepted is named as such, with what to do', async (t) => {
    for (const secure of [false, true]) {
      const server = new SMTPServer({ authOptional: true, secure });
      server.on('error', () => undefined);
      await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
      t.after(() => server.close());
      const { port } = server.server.address() as AddressInfo;
      const { status, detail } = await deliver(`${secure ? 'smtps' : 'smtp'}://127.0.0.1:${port}`);
      assert.equal(status, 'retry');
      assert.match(
        detail,
        /^the mail server's certificate is not accepted \([A-Z_]+\), so it was given nothing: .*`NODE_EXTRA_CA_CERTS`/,
        String(secure),
      );
    }
  });

  it('is reached over TLS under its name, at the address that was judged', async (t) => {
    const names: string[] = [];
    const server = new SMTPServer({
      authOptional: true,
      secure: true,
      SNICallback: (name: string, done: (error: Error | null) => void) => {
        names.push(name);
        done(new Error('seen'));
      },
    });
    server.on('error', () => undefined);
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    t.after(() => server.close());
    atAddresses(t, [{ address: '127.0.0.1', family: 4 }]);
    await deliver(`smtps://mail.example:${(server.server.address() as AddressInfo).port}`);
    assert.deepEqual(names, ['mail.example']);
  });
});
