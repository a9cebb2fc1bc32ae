import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { join } from 'node:path';
import { after, afterEach, before, describe, it } from 'node:test';
import { projectNotifications } from '../../src/activities/step/notifications.js';
import type { Step } from '../../src/activities/step/persist.js';
import { makePolicies } from '../../src/service/index.js';
import { withTransaction } from '../../src/db/index.js';
import { mostAttempts } from '../../src/notify/schedule.js';
import { claimNotifications, notificationsOf, settleNotification } from '../../src/store/notifications.js';
import { projectRoot } from '../../testing/paths.js';
import { programArgs } from '../../testing/programs.js';
import { openOffice, startReceiver, type Office, type Receiver } from './support.js';

const secret = `whsec_${Buffer.alloc(32, 3).toString('base64')}`;

describe('the outbox of notifications', () => {
  let office: Office;
  let receiver: Receiver;
  const channels = (): string =>
    `channels: { hook: { kind: webhook, url: '${receiver.url}', secret: env://HOOK, allowPrivate: true }, second: { kind: webhook, url: '${receiver.url}?second', secret: env://HOOK, allowPrivate: true } }\n`;
  before(async () => {
    [office, receiver] = await Promise.all([openOffice(), startReceiver()]);
    office.env['HOOK'] = secret;
  });
  afterEach(async () => {
    await office.rest();
    receiver.answer = (_request, response) => void response.writeHead(204).end();
    receiver.received.length = 0;
  });
  after(async () => {
    await office.stop();
    await receiver.close();
  });

  it('says of an approval that nobody is to be told', async () => {
    await office.route('routes: []\n');
    const parked = await office.park();
    assert.deepEqual((await office.approval(parked.id)).delivery, { status: 'none', channels: [] });
  });

  it('holds one row an approval, event and channel, however many routes match', async () => {
    await office.route(
      `${channels()}routes: [{ to: [hook] }, { role: finance.controller, to: [hook, second] }, { flow: form, to: [second] }, { environment: prod, to: [second] }]\n`,
    );
    const parked = await office.park();
    const { delivery } = await office.approval(parked.id);
    assert.equal(delivery.status, 'pending');
    assert.deepEqual(
      delivery.channels.map((channel: any) => [channel.channel, channel.event, channel.status]),
      [
        ['hook', 'requested', 'waiting'],
        ['second', 'requested', 'waiting'],
      ],
    );
  });

  it('takes each event of the run to whoever is to hear of it, reminders too', async () => {
    await office.route(
      `${channels()}routes: [{ events: [reminder, escalated], to: [second] }, { role: finance.controller, to: [hook] }]\n`,
    );
    const { pool } = office.api.database;
    const parked = await office.park();
    const policySet = await office.api.deps.policies.policySet();
    const run = await pool.query('select doc from run where id = $1', [parked.run]);
    const state = JSON.parse(String(run.rows[0].doc));
    const types = [
      'approval.reminded',
      'approval.escalated',
      'approval.decided',
      'approval.expired',
      'approval.revoked',
      'approval.refused',
    ];
    const step = {
      row: { id: parked.run, flow: 'pay', environment: 'dev' },
      policySet,
      after: state,
      facts: types.map((type) => ({ key: `test:${type}`, type, approval: parked.id })),
    } as unknown as Step;
    // Twice: the same fact is told once.
    for (let time = 0; time < 2; time += 1)
      await withTransaction(pool, (tx) => projectNotifications(tx, step));
    const rows = await notificationsOf(pool, [parked.id]);
    assert.deepEqual(rows.map((row) => `${row.channel} ${row.event}`).sort(), [
      'hook decided',
      'hook escalated',
      'hook expired',
      'hook reminder',
      'hook requested',
      'hook revoked',
      'second escalated',
      'second reminder',
    ]);
  });

  it('has no row of a step that was not made durable', async () => {
    await office.route(`${channels()}routes: [{ to: [hook] }]\n`);
    const { pool } = office.api.database;
    const started = await office.api.ask('agent', 'POST', '/v1/flows/pay/runs', {});
    const before_ = await pool.query('select count(*) as n from notification');
    const path = `/v1/runs/${String(started.body.run.id)}/transitions/bank.pay`;
    await office.api.database.asSuperuser('revoke insert on audit_record from countersign_app');
    const asked = await office.api
      .ask('agent', 'POST', path, { arguments: { amount: 150 } })
      .finally(() => office.api.database.asSuperuser('grant insert on audit_record to countersign_app'));
    assert.equal(asked.status, 500, asked.text);
    const after_ = await pool.query('select count(*) as n from notification');
    assert.equal(after_.rows[0].n, before_.rows[0].n);
  });

  it('is emptied once by many: no message goes out twice while nobody dies', async () => {
    await office.route(`${channels()}routes: [{ events: [requested], to: [hook, second] }]\n`);
    const deliverers = await Promise.all([1, 2, 3].map(() => office.deliver()));
    const parked = [];
    for (let index = 0; index < 12; index += 1) parked.push(await office.park());
    await receiver.count(24);
    for (const approval of parked) await office.recorded(approval.run, 'delivered', 2);
    assert.equal(receiver.received.length, 24);
    assert.equal(new Set(receiver.received.map((request) => request.id)).size, 24);
    for (const deliverer of deliverers) await deliverer.stop();
  });

  it('loses nothing when the process that delivers is killed between sending and recording', async () => {
    await office.route(`${channels()}routes: [{ events: [requested], to: [hook] }]\n`);
    receiver.answer = () => undefined;
    const child = spawn(
      process.execPath,
      [...programArgs('test/notify/process.ts'), office.api.database.url],
      { cwd: projectRoot, env: { ...process.env, HOOK: secret }, stdio: 'inherit' },
    );
    const ended = new Promise((resolve) => child.once('exit', resolve));
    const parked = await office.park();
    const [first] = await receiver.count(1);
    child.kill('SIGKILL');
    await ended;
    assert.deepEqual(await office.records(parked.run), [], 'sent, and not recorded');
    receiver.answer = (_request, response) => void response.writeHead(204).end();
    await office.deliver();
    assert.equal((await office.approval(parked.id)).delivery.status, 'pending');
    // The lease of the dead one ends.
    await office.hurry();
    const [record] = await office.recorded(parked.run, 'delivered');
    const [, again] = await receiver.count(2);
    assert.equal(again?.id, first?.id);
    assert.equal(record.data.message, first?.id);
    assert.equal(record.data.attempt, 2);
  });

  it('takes no word of one whose lease has ended over that of the next', async () => {
    await office.route(`${channels()}routes: [{ events: [requested], to: [hook] }]\n`);
    const parked = await office.park();
    const { pool } = office.api.database;
    const mine = async (): Promise<any> =>
      (await claimNotifications(pool, { limit: 100, leaseMs: 0, without: [] })).find(
        (row) => row.approval === parked.id,
      );
    const late = await mine();
    const next = await mine();
    const settlement = { status: 'failed', detail: 'late', memo: null, afterMs: 0 } as const;
    assert.equal(await settleNotification(pool, late, settlement), false);
    assert.equal(
      await settleNotification(pool, next, { ...settlement, status: 'delivered', detail: 'ok' }),
      true,
    );
    assert.equal((await office.approval(parked.id)).delivery.status, 'delivered');
  });

  it('does not deliver through a channel that no policy declares any more', async () => {
    await office.route(`${channels()}routes: [{ events: [requested], to: [second] }]\n`);
    const parked = await office.park();
    await office.route(
      `channels: { hook: { kind: webhook, url: '${receiver.url}', secret: env://HOOK, allowPrivate: true } }\n`,
    );
    await office.deliver();
    const [record] = await office.recorded(parked.run, 'failed');
    assert.match(record.data.detail, /no policy declares channel `second`/);
    assert.equal(receiver.received.length, 0);
  });

  it('tries a message again over which our own code fails, as often as any other: counted, on record, and not for ever', async () => {
    await office.route(`${channels()}routes: [{ events: [requested], to: [hook] }]\n`);
    const parked = await office.park();
    const before = office.logged.length;
    await office.deliver({ body: () => Promise.reject(new TypeError('whose text may hold a secret')) });
    for (let attempt = 1; attempt < mostAttempts; attempt += 1) {
      await office.recorded(parked.run, 'retry', attempt);
      await office.hurry();
    }
    const [record] = await office.recorded(parked.run, 'failed');
    assert.equal(record.data.detail, 'the attempt broke off (TypeError)');
    const told = office.logged.slice(before);
    assert.equal(told.length, mostAttempts, told.join());
    assert.ok(
      told.every((line) => /notification `\w+` by channel `hook`: TypeError$/.test(line)),
      told.join(),
    );
  });

  it('keeps a receiver that never answers from holding up the others', async () => {
    const silent = await startReceiver();
    silent.answer = () => undefined;
    await office.route(
      `channels: { hook: { kind: webhook, url: '${receiver.url}', secret: env://HOOK, allowPrivate: true }, silent: { kind: webhook, url: '${silent.url}', secret: env://HOOK, allowPrivate: true } }\nroutes: [{ events: [requested], to: [silent, hook] }]\n`,
    );
    const deliverer = await office.deliver({ attemptMs: 60_000 });
    for (let index = 0; index < 8; index += 1) await office.park();
    await receiver.count(8);
    await deliverer.stop();
    await silent.close();
  });

  it('of messages that cannot be sent says so after a time without an answer', async () => {
    receiver.answer = () => undefined;
    await office.route(`${channels()}routes: [{ events: [requested], to: [hook] }]\n`);
    await office.deliver({ attemptMs: 50 });
    const parked = await office.park();
    const [record] = await office.recorded(parked.run, 'retry');
    assert.equal(record.data.detail, 'no answer in time');
  });

  it('says whether anybody was asked, apart from whether they heard how it ended', async () => {
    await office.route(`${channels()}routes: [{ events: [requested, decided], to: [hook] }]\n`);
    const status = async (id: string): Promise<string> => (await office.approval(id)).delivery.status;
    const { pool } = office.api.database;
    const parked = await office.park();
    const denied = await office.api.ask('finance', 'POST', `/v1/approvals/${parked.id}/decision`, {
      decision: 'deny',
      digest: parked.digest,
    });
    assert.equal(denied.status, 200, denied.text);
    const set = (event: string, to: string) =>
      pool.query('update notification set status = $3 where approval = $1 and event = $2', [
        parked.id,
        event,
        to,
      ]);
    assert.equal(await status(parked.id), 'pending');
    await set('requested', 'delivered');
    assert.equal(await status(parked.id), 'delivered');
    await set('decided', 'failed');
    assert.equal(await status(parked.id), 'delivered');
    await set('requested', 'superseded');
    assert.equal(await status(parked.id), 'none');
    await set('requested', 'failed');
    assert.equal(await status(parked.id), 'failed');
  });

  it('needs a set of policies and nothing else to be routed: another reload, another route', async () => {
    const { pool, transaction, chain } = office.api.deps;
    await office.route(`${channels()}routes: [{ to: [hook] }]\n`);
    const elsewhere = makePolicies({
      pool,
      transaction,
      chain,
      folder: join(office.api.home, 'policies'),
      now: () => new Date(),
    });
    assert.equal((await elsewhere.policySet())?.notifications?.routes.length, 1);
    await office.route(`${channels()}routes: [{ to: [hook] }, { to: [second] }]\n`);
    assert.equal((await elsewhere.policySet())?.notifications?.routes.length, 2);
  });
});
