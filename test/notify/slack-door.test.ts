import assert from 'node:assert/strict';
import { once } from 'node:events';
import { writeFileSync } from 'node:fs';
import net from 'node:net';
import { join } from 'node:path';
import { after, before, beforeEach, describe, it } from 'node:test';
import { setTimeout } from 'node:timers/promises';
import { PayloadsErased } from '../../src/audit/index.js';
import { holdRun, holdTable } from '../../testing/servers/locks.js';
import { until } from '../../testing/until.js';
import { startApi, type Harness } from '../api/harness.js';
import {
  pressing,
  references,
  signed,
  signingSecret,
  slackPolicy,
  startSlack,
  submitting,
  token,
  type SignedRequest,
  type SlackStub,
} from './slack-stub.js';

const controller = 'finance.controller';
const users = {
  UANN: 'ann',
  UBOB: 'bob',
  UASKER: 'asker',
  UROBOT: 'robot',
  UNOKEY: 'nobody-here',
  UOTHER: 'other',
};

interface Parked {
  readonly approval: string;
  readonly digest: string;
  readonly run: string;
}

/** The policy with the channel of the other beside its own, under a name of its own. */
function twoChannels(policy: string, other: string): string {
  const [own, second] = [policy, other].map((text) => JSON.parse(text));
  return JSON.stringify({ ...own, channels: { ...own.channels, other: second.channels.money } });
}

describe('deciding from Slack', () => {
  let api: Harness;
  let slack: SlackStub;
  /** Runs for which no reason can be kept. */
  const closed = new Set<string>();
  const keys = new Map<string, { key: string; keyId: string }>();

  const makeKey = async (id: string, kind: string, roles: readonly string[]): Promise<void> => {
    const made = await api.ask('admin', 'POST', '/v1/keys', { id, kind, roles, permissions: ['run.start'] });
    assert.equal(made.status, 201, made.text);
    keys.set(id, made.body);
  };
  const declare = async (policy: string): Promise<void> => {
    writeFileSync(join(api.home, 'policies', 'notifications.yaml'), policy);
    const reloaded = await api.ask('admin', 'POST', '/v1/policies/reload');
    assert.equal(reloaded.status, 200, reloaded.text);
  };
  before(async () => {
    slack = await startSlack();
    api = await startApi((deps) => ({
      ...deps,
      references,
      payloads: {
        ...deps.payloads,
        whyClosed: (q, run) =>
          closed.has(run) ? Promise.resolve(new PayloadsErased(run)) : deps.payloads.whyClosed(q, run),
      },
    }));
    await declare(slackPolicy(slack.api, users));
    for (const [id, kind, roles] of [
      ['ann', 'human', [controller]],
      ['bob', 'human', [controller]],
      ['asker', 'human', [controller]],
      ['other', 'human', ['other']],
      ['robot', 'agent', [controller]],
    ] as const)
      await makeKey(id, kind, roles);
  });
  beforeEach(() => {
    slack.calls.length = 0;
    slack.next.length = 0;
  });
  after(async () => {
    await api.stop();
    await slack.stop();
  });

  const park = async (flow = 'pay', who = keys.get('asker')?.key ?? ''): Promise<Parked> => {
    const started = await api.ask(who, 'POST', `/v1/flows/${flow}/runs`, {});
    const run = started.body.run.id as string;
    const asked = await api.ask(who, 'POST', `/v1/runs/${run}/transitions/bank.pay`, {
      arguments: { amount: 150 },
    });
    assert.equal(asked.status, 202, asked.text);
    const { id: approval, digest } = asked.body.result.approval;
    return { approval, digest, run };
  };
  const send = async ({
    body,
    headers,
  }: SignedRequest): Promise<{ status: number; body: any; text: string }> =>
    api.ask(null, 'POST', '/slack/interactions', body, headers);
  const press = (user: string, parked: Parked, decision = 'approve') =>
    send(signed(pressing(user, decision, { approval: parked.approval, digest: parked.digest })));
  const submit = (
    user: string,
    { approval, digest }: Parked,
    more: { decision?: string; reason?: string; view?: string } = {},
  ) => {
    const { decision = 'approve', ...rest } = more;
    return send(signed(submitting(user, { approval, digest, decision }, rest)));
  };
  const records = async (type: string, about: string): Promise<any[]> => {
    const found = await api.ask('auditor', 'GET', `/v1/audit?run=${about}&type=${type}`);
    return found.body.data;
  };
  const executions = async ({ run }: Parked): Promise<number> => {
    await api.kernel.settled();
    return (await records('executor.succeeded', run)).length;
  };
  const lastRecord = async (type: string): Promise<any> => {
    const { rows } = await api.database.asSuperuser(
      "select convert_from(body, 'utf8')::jsonb as record from audit_record where type = $1 order by seq desc limit 1",
      [type],
    );
    return (rows[0] as { record: any } | undefined)?.record;
  };
  const decisionsOf = async ({ approval }: Parked): Promise<[string, string][]> => {
    const { body } = await api.ask('finance', 'GET', `/v1/approvals/${approval}`);
    return body.decisions.map((decision: any) => [decision.by.id, decision.status]);
  };
  const told = (): string => slack.of('chat.postEphemeral').at(-1)?.text ?? '';
  const errorOf = (answer: { status: number; body: any }): string => {
    assert.deepEqual([answer.status, answer.body?.response_action], [200, 'errors']);
    return answer.body.errors.reason;
  };

  it('a button opens a window with the exact action, and the window decides as the person behind the Slack user', async () => {
    const parked = await park();
    const pressed = await press('UANN', parked);
    assert.deepEqual([pressed.status, pressed.text], [200, '']);
    const [{ view, trigger_id }] = slack.of('views.open');
    assert.ok(trigger_id !== '');
    const metadata = JSON.parse(view.private_metadata);
    assert.deepEqual(metadata, { approval: parked.approval, digest: parked.digest, decision: 'approve' });
    assert.match(JSON.stringify(view.blocks), /\\"amount\\": 150/);
    assert.equal(await executions(parked), 0, 'a button alone decides nothing');
    assert.equal((await records('approval.viewed', parked.run)).length, 1);

    const decided = await send(signed(submitting('UANN', metadata, { reason: 'seen the invoice' })));
    assert.equal(decided.body.response_action, 'update');
    assert.equal(decided.body.view.title.text, 'Approved');
    assert.equal(await executions(parked), 1);
    const [record] = await records('approval.decided', parked.run);
    assert.deepEqual([record.actor.id, record.actor.kind, record.data.via], ['ann', 'human', 'slack']);
    const shown = await api.ask('finance', 'GET', `/v1/approvals/${parked.approval}`);
    assert.equal(shown.body.decisions[0].reason, 'seen the invoice');
  });

  it('denies with a reason', async () => {
    const parked = await park();
    const decided = await submit('UANN', parked, { decision: 'deny', reason: 'not this month' });
    assert.equal(decided.body.view.title.text, 'Denied');
    const shown = await api.ask('finance', 'GET', `/v1/approvals/${parked.approval}`);
    assert.deepEqual([shown.body.status, shown.body.decisions[0].reason], ['denied', 'not this month']);
    assert.equal(await executions(parked), 0);
  });

  it('asks for a reason where the gate does, and takes the decision of a human where it asks for the human itself', async () => {
    const flow = {
      ...{ name: 'strict', owner: 'team', permissions: { execute: ['bank.pay'] } },
      approval_gate: {
        ...{ approver_role: controller, direct: 'required', reason: 'required', timeout: { after: '1h' } },
      },
    };
    const published = await api.ask('admin', 'POST', '/v1/flows', flow);
    assert.equal(published.status, 201, published.text);
    const parked = await park('strict');
    await press('UANN', parked);
    const input = slack.of('views.open')[0].view.blocks.find((block: any) => block.type === 'input');
    assert.equal(input.optional, false);
    const view = 'V-asks-twice';
    assert.match(errorOf(await submit('UANN', parked, { view, reason: '  ' })), /asks for a reason/);
    assert.equal(
      (await submit('UANN', parked, { view, reason: 'checked' })).body.view.title.text,
      'Approved',
    );
    assert.equal(await executions(parked), 1);
  });

  it('opens no window for a reason that the gate asks for and that cannot be kept, and denies without one where it may', async () => {
    const [optional, required] = [await park(), await park('strict')];
    for (const { run } of [optional, required]) closed.add(run);
    await press('UANN', required, 'deny');
    assert.deepEqual(slack.of('views.open'), []);
    assert.match(told(), /^Nothing was decided: .+ the reason that this gate asks for cannot be kept/);
    await press('UANN', optional, 'deny');
    assert.equal(slack.of('views.open').length, 1);
    assert.match(
      errorOf(await submit('UANN', optional, { decision: 'deny', reason: 'no' })),
      /the reason cannot be kept: decide without a reason/,
    );
    assert.equal((await submit('UANN', optional, { decision: 'deny' })).body.view.title.text, 'Denied');
  });

  it('believes nothing that Slack has not signed, now, and once', async () => {
    const parked = await park();
    const payload = submitting('UANN', {
      approval: parked.approval,
      digest: parked.digest,
      decision: 'approve',
    });
    const good = signed(payload);
    const forged: readonly (readonly [string, SignedRequest])[] = [
      ['bad_signature', signed(payload, { secret: 'another secret' })],
      ['bad_signature', { ...good, body: good.body.replace('approve', 'deny') }],
      ['bad_signature', { ...signed(payload, { secret: `${signingSecret} ` }) }],
      ['stale', signed(payload, { late: 301 })],
      ['stale', signed(payload, { late: -310 })],
      ['no_signature', { ...good, headers: { 'content-type': 'application/x-www-form-urlencoded' } }],
      ['no_signature', { ...good, headers: { ...good.headers, 'x-slack-signature': 'v0=' } }],
      ['no_signature', { ...good, headers: { ...good.headers, 'x-slack-request-timestamp': 'now' } }],
    ];
    for (const [reason, request] of forged) {
      const answer = await send(request);
      assert.deepEqual([answer.status, answer.body.code], [401, 'UNAUTHENTICATED'], reason);
      assert.equal((await lastRecord('authn.failed')).data.reason, reason);
    }
    assert.equal(await executions(parked), 0);
    assert.equal((await send(good)).body.response_action, 'update');
    const replayed = await send(good);
    assert.deepEqual([replayed.status, replayed.body.code], [401, 'UNAUTHENTICATED']);
    assert.equal((await lastRecord('authn.failed')).data.reason, 'replayed');
    assert.equal(await executions(parked), 1);
    assert.deepEqual(slack.calls, []);
  });

  it('believes nobody where no channel is declared, or its secret has no value, or two channels name two people', async () => {
    const parked = await park();
    const { api: base, ...rest } = JSON.parse(slackPolicy(slack.api, users)).channels.money;
    const twice = { users: { UANN: 'bob' }, api: base };
    for (const [channels, reason] of [
      [{}, 'no_slack'],
      [{ money: { ...rest, api: base, signingSecret: 'env://NOT_SET' } }, 'no_secret'],
    ] as const) {
      await declare(JSON.stringify({ channels }));
      assert.equal((await submit('UANN', parked)).status, 401);
      assert.equal((await lastRecord('authn.failed')).data.reason, reason);
    }
    await declare(
      JSON.stringify({ channels: { money: { ...rest, api: base }, more: { ...rest, ...twice } } }),
    );
    assert.match(errorOf(await submit('UANN', parked)), /several people for your Slack user/);
    assert.equal((await lastRecord('request.refused')).data.why, 'ambiguous');
    assert.equal(await executions(parked), 0);
    await declare(slackPolicy(slack.api, users));
    assert.equal((await submit('UANN', parked)).body.response_action, 'update');
  });

  it('tells a Slack user whom the policies do not name as a known human, and nobody else', async () => {
    const parked = await park();
    for (const [user, why, says] of [
      ['USTRANGER', 'unmapped', /nobody here is named for your Slack user USTRANGER/],
      ['UROBOT', 'not_human', /only a human decides/],
      ['UNOKEY', 'no_credential', /has no key that is valid now/],
      ['constructor', 'unmapped', /nobody here is named/],
    ] as const) {
      assert.equal((await press(user, parked)).status, 200);
      assert.match(told(), says);
      assert.equal(slack.of('chat.postEphemeral').at(-1).user, user);
      const record = await lastRecord('request.refused');
      assert.deepEqual([record.data.why, record.data.approval], [why, parked.approval]);
      assert.match(errorOf(await submit(user, parked)), says);
    }
    assert.deepEqual(slack.of('views.open'), []);
    assert.equal(await executions(parked), 0);
  });

  it('refuses who asked for it, and who lacks the role or has lost it since the button', async () => {
    const parked = await park();
    for (const [user, says] of [
      ['UASKER', /asked for this action/],
      ['UOTHER', /there is no approval/],
    ] as const) {
      assert.equal((await press(user, parked)).status, 200);
      assert.match(told(), says);
      assert.match(errorOf(await submit(user, parked)), says);
    }
    assert.deepEqual(slack.of('views.open'), []);
    assert.equal((await records('approval.refused', parked.run)).length, 2);

    await press('UBOB', parked);
    assert.equal(slack.of('views.open').length, 1);
    const old = keys.get('bob')?.keyId ?? '';
    assert.equal((await api.ask('admin', 'DELETE', `/v1/keys/${old}`)).status, 204);
    await makeKey('bob', 'human', ['other']);
    assert.match(errorOf(await submit('UBOB', parked)), /there is no approval/);
    await makeKey('bob', 'human', [controller]);
    assert.equal((await submit('UBOB', parked)).body.view.title.text, 'Approved');
    assert.equal(await executions(parked), 1);
  });

  it('counts a window that is sent twice once, and a second window of the same person not at all', async () => {
    const parked = await park();
    const view = 'V-clicked-twice';
    const both = await Promise.all([submit('UANN', parked, { view }), submit('UANN', parked, { view })]);
    for (const answer of both) assert.equal(answer.body.view?.title.text, 'Approved', answer.text);
    assert.equal((await records('approval.decided', parked.run)).length, 1);
    assert.match(errorOf(await submit('UANN', parked)), /^Nothing (more )?was decided: .*approved/);
    // With another reason it is another decision, and not told as if that reason were kept.
    const corrected = await submit('UANN', parked, { view, reason: 'corrected' });
    assert.match(errorOf(corrected), /^Nothing (more )?was decided: .*approved/);
    assert.equal(await executions(parked), 1);
  });

  it('says who has decided meanwhile and when, and takes the buttons from a message that still has them', async () => {
    const parked = await park();
    const { approval, digest } = parked;
    const denied = await api.ask('finance', 'POST', `/v1/approvals/${approval}/decision`, {
      ...{ decision: 'deny', digest },
    });
    assert.equal(denied.status, 200);
    assert.match(errorOf(await submit('UANN', parked)), /is denied: .*`finance` denied it at \d{4}-/);
    await press('UANN', parked);
    assert.match(told(), /`finance` denied it at \d{4}-/);
    assert.deepEqual(slack.of('views.open'), []);
    const [rewritten] = slack.of('chat.update');
    assert.equal(rewritten.ts, '1700000000.000001');
    assert.ok(rewritten.blocks.every((block: any) => block.type !== 'actions'));
    assert.equal(await executions(parked), 0);
  });

  it('decides the digest that was shown, and no other', async () => {
    const parked = await park();
    const other = { ...parked, digest: `sha256:${'0'.repeat(64)}` };
    await press('UANN', other);
    assert.match(told(), /another digest/);
    assert.deepEqual(slack.of('views.open'), []);
    assert.match(errorOf(await submit('UANN', other)), /another digest/);
    assert.equal(await executions(parked), 0);
  });

  it('answers what no button and no window of ours sends with 422, and does nothing', async () => {
    const parked = await park();
    const { approval, digest } = parked;
    const unreadable = [
      signed({ type: 'block_suggestion' }),
      signed('text'),
      signed(''),
      signed(pressing('UANN', 'approve', { approval })),
      signed(pressing('UANN', 'approve', {})),
      signed(pressing('UANN', 'approve', { approval, digest, roles: [controller] })),
      signed(submitting('UANN', { approval, digest, decision: 'maybe' })),
      signed(submitting('UANN', { approval, digest, decision: 'approve' }, { reason: 'x'.repeat(3_001) })),
      signed(submitting('UANN', { approval, digest, decision: 'approve' }, { reason: 'a\u0000b' })),
    ];
    for (const request of unreadable) {
      const answer = await send(request);
      assert.deepEqual([answer.status, answer.body.code], [422, 'REQUEST_INVALID'], request.body);
    }
    assert.equal((await send(signed(pressing('UANN', 'open', {})))).status, 200);
    assert.equal(await executions(parked), 0);
    assert.deepEqual(slack.calls, []);
  });

  it('reads nothing of a request whose head says that it is not from Slack, and no more than 128 KiB', async () => {
    const form = { 'content-type': 'application/x-www-form-urlencoded' };
    const { headers } = signed({ type: 'view_closed' });
    const heads = {
      no_signature: form,
      stale: signed({ type: 'view_closed' }, { late: 301 }).headers,
      no_slack: headers,
    };
    for (const [reason, head] of Object.entries(heads)) {
      if (reason === 'no_slack') await declare(JSON.stringify({ channels: {} }));
      assert.match(await headAlone({ ...head, 'content-length': '60000' }), /^HTTP\/1\.1 401 /, reason);
      assert.equal((await lastRecord('authn.failed')).data.reason, reason);
    }
    await declare(slackPolicy(slack.api, users));
    assert.match(await headAlone({ ...headers, 'content-length': '131073' }), /^HTTP\/1\.1 413 /);
  });

  /** What is answered before any of the body was sent. */
  const headAlone = async (headers: Readonly<Record<string, string>>): Promise<string> => {
    await api.deps.anonymous.flush();
    const { hostname, port } = new URL(api.url);
    const socket = net.connect(Number(port), hostname);
    const lines = Object.entries(headers).map(([name, value]) => `${name}: ${value}\r\n`);
    socket.write(`POST /slack/interactions HTTP/1.1\r\nhost: x\r\n${lines.join('')}\r\n`);
    const [said] = (await once(socket, 'data')) as [Buffer];
    socket.destroy();
    return said.toString();
  };

  it('says so when the window does not open, and says its token nowhere', async () => {
    const parked = await park();
    slack.next.push({ body: { ok: false, error: 'expired_trigger_id' } });
    assert.equal((await press('UANN', parked)).status, 200);
    assert.match(told(), /the window did not open/);
    assert.ok(api.logged.some((line) => line.includes('expired_trigger_id')));
    const { rows } = await api.database.asSuperuser(
      "select string_agg(convert_from(body, 'utf8'), '') as text from audit_record",
    );
    const everything = `${api.logged.join()}${(rows[0] as { text: string }).text}`;
    for (const secret of [token, signingSecret]) assert.ok(!everything.includes(secret));
  });

  for (const { lost, lose, says } of [
    {
      lost: 'whose key is revoked',
      says: /`leaver` has no key that is valid now/,
      lose: () => api.ask('admin', 'DELETE', `/v1/keys/${keys.get('leaver')?.keyId ?? ''}`),
    },
    {
      lost: 'whom the policies no longer name',
      says: /nobody here is named for your Slack user ULEAVER/,
      lose: () => declare(slackPolicy(slack.api, users)),
    },
    {
      lost: 'in a request signed with a secret that is replaced',
      says: /no longer declared here as it was, or has another signing secret: decide on the page/,
      lose: () =>
        declare(
          slackPolicy(slack.api, { ...users, ULEAVER: 'leaver' }).replace(
            /"signingSecret":"[^"]+"/,
            '"signingSecret":"env://NOT_SET"',
          ),
        ),
    },
    {
      lost: 'whom only another channel names',
      says: /nobody here is named for your Slack user ULEAVER/,
      lose: () =>
        declare(
          twoChannels(slackPolicy(slack.api, users), slackPolicy(slack.api, { ...users, ULEAVER: 'leaver' })),
        ),
    },
  ])
    it(`keeps nothing of a decision that waits for its run, by somebody ${lost} meanwhile`, async () => {
      await declare(slackPolicy(slack.api, { ...users, ULEAVER: 'leaver' }));
      await makeKey('leaver', 'human', [controller]);
      const parked = await park();
      const lock = await holdRun(api.database.url, parked.run);
      const asked = submit('ULEAVER', parked);
      await until('its decision to wait', () => lock.someoneWaits());
      await lose();
      // For a second the rights are trusted that the request came with.
      await setTimeout(1_200);
      await lock.release();
      const told = errorOf(await asked);
      assert.match(told, /its caller's rights changed, .+: nothing of it is kept/);
      assert.match(told, says);
      assert.deepEqual(await decisionsOf(parked), []);
    });

  it('keeps nothing of a decision whose secret was replaced while its signature was verified', async (t) => {
    const parked = await park();
    const lock = await holdTable(api.database.url, 'slack_request');
    const asked = submit('UANN', parked);
    await until('the request to wait', () => lock.someoneWaits());
    references.env.SLACK_SIGNING_SECRET = 'another-secret';
    t.after(() => (references.env.SLACK_SIGNING_SECRET = signingSecret));
    // For a second what was read with the request is trusted.
    await setTimeout(1_200);
    await lock.release();
    assert.match(errorOf(await asked), /its caller's rights changed, .+: nothing of it is kept/);
    assert.deepEqual(await decisionsOf(parked), []);
  });

  it('keeps a decision that has waited for its run, where its person has the same rights still', async () => {
    const parked = await park();
    const lock = await holdRun(api.database.url, parked.run);
    const asked = submit('UANN', parked);
    await until('its decision to wait', () => lock.someoneWaits());
    await setTimeout(1_200);
    await lock.release();
    assert.equal((await asked).body.response_action, 'update');
    await api.kernel.settled();
    assert.deepEqual(await decisionsOf(parked), [['ann', 'applied']]);
  });

  it('answers before Slack gives up when no worker takes the decision, which is kept', async () => {
    const parked = await park();
    api.kernel.idle = true;
    try {
      const answer = await submit('UANN', parked);
      assert.match(JSON.stringify(answer.body.view.blocks), /Your decision is kept/);
      assert.deepEqual(await decisionsOf(parked), [['ann', 'accepted']]);
    } finally {
      api.kernel.idle = false;
    }
    await api.kernel.settled();
    assert.deepEqual(await decisionsOf(parked), [['ann', 'applied']]);
  });
});
