import assert from 'node:assert/strict';
import dns from 'node:dns';
import { syncBuiltinESMExports } from 'node:module';
import { createHmac, createPublicKey, verify } from 'node:crypto';
import { after, afterEach, before, describe, it } from 'node:test';
import { Webhook } from 'standardwebhooks';
import { approvalHtml } from '../../src/api/pages/approval.js';
import { showApproval } from '../../src/cli/show.js';
import { openOffice, startReceiver, type Office, type Receiver } from './support.js';

const secret = `whsec_${Buffer.alloc(32, 7).toString('base64')}`;
const older = `whsec_${Buffer.alloc(24, 9).toString('base64')}`;

describe('a webhook', () => {
  let office: Office;
  let receiver: Receiver;
  let other: Receiver;
  const channel = (more = '', url = receiver.url): string =>
    `channels: { hook: { kind: webhook, url: '${url}', secret: env://HOOK, allowPrivate: true${more} } }\n`;
  before(async () => {
    [office, receiver, other] = await Promise.all([openOffice(), startReceiver(), startReceiver()]);
    Object.assign(office.env, { HOOK: secret, OLDER: older, SHORT: 'whsec_AAAA' });
  });
  afterEach(async () => {
    await office.rest();
    receiver.answer = (_request, response) => void response.writeHead(204).end();
    receiver.received.length = 0;
  });
  after(async () => {
    await office.stop();
    await Promise.all([receiver.close(), other.close()]);
  });

  it('carries a signature that anybody with the secret can verify, and says what waits', async () => {
    await office.route(`publicUrl: https://c.example.com\n${channel()}routes: [{ to: [hook] }]\n`);
    await office.deliver();
    const parked = await office.park(60_000);
    const [request] = await receiver.count(1);
    assert.ok(request !== undefined);
    new Webhook(secret).verify(request.text, request.headers as Record<string, string>);
    const signed = `${request.id}.${String(request.headers['webhook-timestamp'])}.${request.text}`;
    const mac = createHmac('sha256', Buffer.alloc(32, 7)).update(signed).digest('base64');
    assert.equal(request.headers['webhook-signature'], `v1,${mac}`);
    assert.throws(() =>
      new Webhook(secret).verify(`${request.text} `, request.headers as Record<string, string>),
    );
    const { type, timestamp, data } = request.body;
    assert.equal(type, 'approval.requested');
    assert.ok(Math.abs(Date.now() - Date.parse(timestamp)) < 60_000);
    assert.equal(data.approval, parked.id);
    assert.equal(data.run, parked.run);
    assert.deepEqual(
      [data.tool, data.tier, data.roles, data.status],
      ['bank.pay', 'reversible', ['finance.controller'], 'open'],
    );
    assert.equal(data.url, `https://c.example.com/approvals/${parked.id}`);
    assert.match(data.summary, /60000/);
    assert.equal(data.action, undefined, 'a thin event');
    const [record] = await office.recorded(parked.run, 'delivered');
    assert.equal(record.type, 'approval.notified');
    assert.equal(record.data.message, request.id);
    const { delivery } = await office.approval(parked.id);
    assert.equal(delivery.status, 'delivered');
    assert.deepEqual(
      delivery.channels.map((each: any) => [
        each.message,
        each.channel,
        each.event,
        each.status,
        each.attempts,
      ]),
      [[request.id, 'hook', 'requested', 'delivered', 1]],
    );
  });

  it('is signed by each of several secrets, and carries the exact action where that is asked for', async () => {
    await office.route(
      `channels: { hook: { kind: webhook, url: '${receiver.url}', secret: [env://HOOK, env://OLDER], content: action, allowPrivate: true } }\nroutes: [{ to: [hook] }]\n`,
    );
    await office.deliver();
    const parked = await office.park(70_000);
    const [request] = await receiver.count(1);
    assert.ok(request !== undefined);
    for (const each of [secret, older])
      new Webhook(each).verify(request.text, request.headers as Record<string, string>);
    assert.deepEqual(request.body.data.action.arguments, { amount: 70_000, currency: 'EUR' });
    assert.equal(request.body.data.action.digest, parked.digest);
  });

  it('of `signing: ed25519` is verified with the key that the service publishes', async () => {
    await office.route(
      `channels: { hook: { kind: webhook, url: '${receiver.url}', signing: ed25519, allowPrivate: true } }\nroutes: [{ to: [hook] }]\n`,
    );
    await office.deliver();
    await office.park();
    const [request] = await receiver.count(1);
    assert.ok(request !== undefined);
    const published = await office.api.ask(null, 'GET', '/v1/notifications/key');
    const raw = Buffer.from(String(published.body.key).replace(/^whpk_/, ''), 'base64');
    assert.equal(raw.length, 32);
    const key = createPublicKey({
      key: { kty: 'OKP', crv: 'Ed25519', x: raw.toString('base64url') },
      format: 'jwk',
    });
    const [, signature] = /^v1a,(.+)$/.exec(String(request.headers['webhook-signature'])) ?? [];
    const signed = Buffer.from(
      `${request.id}.${String(request.headers['webhook-timestamp'])}.${request.text}`,
    );
    assert.ok(verify(null, signed, key, Buffer.from(String(signature), 'base64')));
  });

  it('that is not taken is tried again, later, under the same id', async () => {
    await office.route(`${channel()}routes: [{ to: [hook] }]\n`);
    receiver.answer = (_request, response) => void response.writeHead(500).end();
    await office.deliver();
    const parked = await office.park();
    const [record] = await office.recorded(parked.run, 'retry');
    assert.equal(record.data.detail, 'answered 500');
    const waiting = (await office.approval(parked.id)).delivery;
    assert.equal(waiting.status, 'pending');
    assert.equal(waiting.channels[0].status, 'retrying');
    assert.ok(Date.parse(waiting.channels[0].nextAt) > Date.now());
    const text = await office.api.deps.metrics.text();
    assert.match(text, /countersign_notifications_undelivered\{channel="hook",status="retrying"\} 1/);
    receiver.answer = (_request, response) => void response.writeHead(201).end('taken');
    await office.hurry();
    await office.recorded(parked.run, 'delivered');
    assert.deepEqual(
      new Set(receiver.received.map((request) => request.id)),
      new Set([waiting.channels[0].message]),
    );
    assert.equal(receiver.received.length, 2);
    assert.equal((await office.approval(parked.id)).delivery.channels[0].attempts, 2);
    const counted = await office.api.deps.metrics.text();
    assert.match(counted, /countersign_notifications_total\{channel="hook",outcome="retry"\} \d/);
  });

  it('waits as long as the receiver asks for', async () => {
    await office.route(`${channel()}routes: [{ to: [hook] }]\n`);
    receiver.answer = (_request, response) => void response.writeHead(429, { 'retry-after': '3600' }).end();
    await office.deliver();
    const parked = await office.park();
    await office.recorded(parked.run, 'retry');
    const { channels } = (await office.approval(parked.id)).delivery;
    assert.ok(Date.parse(channels[0].nextAt) > Date.now() + 3_000_000);
  });

  it('follows no redirect', async () => {
    await office.route(`${channel()}routes: [{ to: [hook] }]\n`);
    receiver.answer = (_request, response) => void response.writeHead(307, { location: other.url }).end();
    await office.deliver();
    const parked = await office.park();
    const [record] = await office.recorded(parked.run, 'retry');
    assert.equal(record.data.detail, 'answered 307: redirects are not followed');
    assert.equal(other.received.length, 0);
  });

  it('goes to no private address, and the approval says that nobody was told', async () => {
    await office.route(
      `channels: { hook: { kind: webhook, url: '${receiver.url}', secret: env://HOOK } }\nroutes: [{ to: [hook] }]\n`,
    );
    await office.deliver();
    const parked = await office.park();
    const [record] = await office.recorded(parked.run, 'failed');
    assert.match(record.data.detail, /loopback or private address/);
    assert.equal(receiver.received.length, 0);
    const { delivery } = await office.approval(parked.id);
    assert.equal(delivery.status, 'failed');
    assert.match(delivery.channels[0].detail, /private address/);
    const listed = await office.api.ask('finance', 'GET', '/v1/approvals?mine=true&limit=500');
    const item = listed.body.data.find((record: any) => record.id === parked.id);
    assert.equal(item.delivery.status, 'failed');
    const said = /not told\s*(<td>)?hook \(requested\): its host has a loopback or private address/;
    assert.match(showApproval(item).join('\n'), said);
    assert.match((await approvalHtml(item, true)).html.replaceAll(/<\/th>\s*/g, ''), said);
    const text = await office.api.deps.metrics.text();
    assert.match(text, /countersign_notifications_undelivered\{channel="hook",status="failed"\} \d/);
  });

  it('turns its channel off where the receiver is gone, until the address or the policies change', async () => {
    await office.route(`${channel().replace(receiver.url, 'env://URL')}routes: [{ to: [hook] }]\n`);
    office.env['URL'] = `${receiver.url}?old`;
    receiver.answer = (_request, response) => void response.writeHead(410).end();
    await office.deliver();
    const refused = async (): Promise<string> => {
      const { id, run } = await office.park();
      const [record] = await office.recorded(run, 'failed');
      assert.equal((await office.approval(id)).delivery.status, 'failed');
      return record.data.detail as string;
    };
    assert.equal(await refused(), 'answered 410: the receiver wants no more, and its channel is off');
    receiver.answer = (_request, response) => void response.writeHead(204).end();
    assert.match(await refused(), /^its receiver has answered 410: the channel is off until/);
    assert.equal(receiver.received.length, 1, 'it was left in peace');
    office.env['URL'] = `${receiver.url}?new`;
    await office.recorded((await office.park()).run, 'delivered');
    office.env['URL'] = `${receiver.url}?old`;
    assert.match(await refused(), /is off until/);
    await office.route(
      `${channel(', content: action').replace(receiver.url, 'env://URL')}routes: [{ to: [hook] }]\n`,
    );
    await office.recorded((await office.park()).run, 'delivered');
    assert.equal(receiver.received.length, 3);
  });

  it('goes to the address that was judged: a name is asked for once, and one private address is one too many', async (t) => {
    const asked: string[] = [];
    const answers: { address: string; family: number }[][] = [];
    const lookup = t.mock.method(dns.promises, 'lookup', (host: string) => {
      asked.push(host);
      return Promise.resolve(answers.shift() ?? [{ address: '203.0.113.1', family: 4 }]);
    });
    syncBuiltinESMExports();
    t.after(() => {
      lookup.mock.restore();
      syncBuiltinESMExports();
    });
    await office.deliver();
    const named = `http://hooks.test:${receiver.port}/in`;
    await office.route(`${channel(', content: action', named)}routes: [{ to: [hook] }]\n`);
    answers.push([{ address: '127.0.0.1', family: 4 }]);
    await office.recorded((await office.park()).run, 'delivered');
    assert.equal(receiver.received[0]?.headers.host, `hooks.test:${receiver.port}`);
    assert.deepEqual(asked, ['hooks.test'], 'nobody else resolves it, or resolves it again');

    const strict = channel('', named).replace(', allowPrivate: true', '');
    await office.route(`${strict}routes: [{ to: [hook] }]\n`);
    answers.push([
      { address: '8.8.8.8', family: 4 },
      { address: '127.0.0.1', family: 4 },
    ]);
    const [record] = await office.recorded((await office.park()).run, 'failed');
    assert.match(record.data.detail, /loopback or private address/);
    assert.equal(receiver.received.length, 1);
  });

  it('is over after the last attempt', async () => {
    await office.route(`${channel()}routes: [{ to: [hook] }]\n`);
    await office.deliver();
    receiver.answer = (_request, response) => void response.writeHead(503).end();
    const tired = await office.park();
    await office.recorded(tired.run, 'retry');
    await office.api.database.pool.query('update notification set attempts = 9 where approval = $1', [
      tired.id,
    ]);
    await office.hurry();
    const [last] = await office.recorded(tired.run, 'failed');
    assert.equal(last.data.attempt, 10);
    assert.equal((await office.approval(tired.id)).delivery.status, 'failed');
  });

  it('leaves its secret in no record, no log, no row and no answer', async () => {
    const cases = [
      ['retry', channel().replace('env://HOOK', 'env://NOT_SET'), /`env:\/\/NOT_SET` has no value/],
      ['retry', channel().replace('env://HOOK', 'env://SHORT'), /its secret is none/],
      ['retry', channel('', 'http://127.0.0.1:9/'), /the connection failed/],
    ] as const;
    for (const [outcome, text, detail] of cases) {
      await office.route(`${text}routes: [{ to: [hook] }]\n`);
      const deliverer = await office.deliver();
      const parked = await office.park();
      const [record] = await office.recorded(parked.run, outcome);
      assert.match(record.data.detail, detail);
      await deliverer.stop();
    }
    const { pool } = office.api.database;
    const rows = await pool.query('select to_json(n)::text as text from notification n');
    const set = await pool.query('select body as text from policy_set');
    const log = await pool.query(`select encode(body, 'escape') as text from audit_record`);
    const kept = [...rows.rows, ...set.rows, ...log.rows].map((row) => String(row.text));
    assert.ok(kept.length > 20);
    for (const value of [secret, older, 'whsec_AAAA'])
      for (const text of [...kept, ...office.logged, ...office.api.logged])
        assert.ok(!text.includes(value), text.slice(0, 300));
  });

  it('tells programs of everything that happens to it', async () => {
    await office.route(`${channel()}routes: [{ to: [hook] }]\n`);
    await office.deliver();
    const parked = await office.park();
    await receiver.count(1);
    const decided = await office.api.ask('finance', 'POST', `/v1/approvals/${parked.id}/decision`, {
      decision: 'deny',
      digest: parked.digest,
      reason: 'no',
    });
    assert.equal(decided.status, 200, decided.text);
    const two = await receiver.count(2);
    assert.deepEqual(
      two.map((request) => [request.body.type, request.body.data.status]),
      [
        ['approval.requested', 'open'],
        ['approval.decided', 'denied'],
      ],
    );
    assert.notEqual(two[0]?.id, two[1]?.id);
  });
});
