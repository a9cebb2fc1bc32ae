import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { audit, decide, getRun, startRun, submit, until, type RunBody } from '../../../testing/flows.js';
import { joinStack } from '../../../testing/servers/joint-stack.js';
import { roles, startBank, type StackWithBank } from './bank.js';

// What approvers are shown and asked again: of which state, after a denial, and before an effect is repeated whose outcome is unknown.

const call = (path: string): string => `{ kind: rest, connection: bank, method: POST, path: ${path} }`;
const amount = `{ type: object, additionalProperties: false, properties: { amount: { type: number } } }`;
const flow = `
version: 1
workflows:
  bill:
    owner: test
    initialState: draft
    states:
      draft:
        transitions:
          pay:
            title: Pay a draft
            summary: 'a draft of {$.arguments.amount}'
            consequence: 'the draft is sent'
            target: draft
            tier: irreversible
            inputSchema: ${amount}
            gate: { roles: [finance.controller], timeout: { after: 24h } }
            executor: ${call('/draft')}
          open: { target: open }
      open:
        transitions:
          pay:
            title: Pay the bill
            summary: 'the bill of {$.arguments.amount}'
            consequence: 'the bill is paid'
            target: paid
            onDeny: denied
            tier: irreversible
            inputSchema: ${amount}
            gate: { roles: [finance.controller], timeout: { after: 24h } }
            executor:
              kind: rest
              connection: bank
              method: POST
              path: /bill
              reliability:
                fallback: { strategy: first_success, executors: [${call('/reserve')}] }
          slow: { target: open, tier: reversible, executor: ${call('/slow')} }
      denied: { transitions: { open: { target: open } } }
      paid: { terminal: true }
`;

let arrivals: Awaited<ReturnType<typeof startBank>>;
const joint = joinStack(async () => {
  arrivals = await startBank('{}');
  return {
    env: { BANK_URL: arrivals.url },
    policies: {
      'roles.yaml': roles,
      'connections.yaml': `version: 1\nconnections: { bank: { kind: rest, baseUrl: 'env://BANK_URL', allowPrivate: true } }\n`,
      'flows/bill.yaml': flow,
    },
  };
});

describe('what is asked of an approver', () => {
  let stack: StackWithBank;
  before(async () => {
    stack = { ...(await joint()), bank: arrivals.bank };
  });
  after(() => arrivals.close());

  const open = async (): Promise<string> => {
    const { run } = await startRun(stack, 'agent', 'bill', {});
    assert.equal((await submit(stack, 'agent', run.id, 'open')).status, 200);
    return run.id;
  };
  const pay = async (run: string, args = { amount: 5 }): Promise<string> => {
    const { status, body } = await submit(stack, 'agent', run, 'pay', { arguments: args });
    assert.equal(status, 202, JSON.stringify(body));
    return body.result.approval.id as string;
  };
  const card = async (id: string) => (await stack.fetchAs('finance', 'GET', `/v1/approvals/${id}`)).body;
  const reaches = (run: string, what: string, is: (body: RunBody) => boolean): Promise<RunBody> =>
    until(what, async () => {
      const body = await getRun(stack, 'admin', run);
      return is(body) ? body : null;
    });
  const retry = (run: string, as: string) =>
    stack.fetchAs(as, 'POST', `/v1/runs/${run}/retry`, { reason: 'looked: it has not arrived' });

  it('shows the transition of the state that the run is in, with what is tried in its stead', async () => {
    const { run } = await startRun(stack, 'agent', 'bill', {});
    const draft = await card(await pay(run.id));
    assert.deepEqual(
      [draft.summary, draft.consequence, draft.preview.path],
      ['a draft of 5', 'the draft is sent; cannot be undone', '/draft'],
    );
    assert.equal((await submit(stack, 'agent', run.id, 'open')).status, 200);
    const bill = await card(await pay(run.id));
    assert.deepEqual(
      [bill.summary, bill.consequence, bill.preview.path, bill.preview.fallbacks?.[0]?.path],
      ['the bill of 5', 'the bill is paid; cannot be undone', '/bill', '/reserve'],
    );
  });

  it('leads where `onDeny` says after a denial, of a gate of any kind, also while another effect executes', async () => {
    const run = await open();
    const approval = await pay(run);
    const hold = stack.bank.hold();
    const slow = submit(stack, 'agent', run, 'slow');
    await until('the slow call', async () => hold.held());
    assert.equal((await decide(stack, 'finance', approval, 'deny')).status, 200);
    assert.equal((await getRun(stack, 'admin', run)).run.state, 'open');
    hold.release();
    assert.equal((await slow).status, 200);
    await reaches(run, 'the state of `onDeny`', (body) => body.run.state === 'denied');
    assert.equal((await submit(stack, 'agent', run, 'open')).status, 200);
    const again = await card(await pay(run));
    assert.match(again.summary, /^the bill of 5; asked again: finance denied it on 20/);
  });

  it('says of what the run has done already that it would be done once more', async () => {
    const { run } = await startRun(stack, 'agent', 'bill', {});
    const first = await pay(run.id);
    assert.equal((await card(first)).summary, 'a draft of 5');
    assert.equal((await decide(stack, 'finance', first, 'approve')).status, 200);
    await reaches(run.id, 'a draft that is sent', (body) => body.run.version === 1);
    const again = await card(await pay(run.id));
    const more = '; ONCE MORE: this run has done pay with exactly these arguments once already';
    assert.equal(again.summary, `a draft of 5${more}`);
    assert.equal((await card(await pay(run.id, { amount: 6 }))).summary, 'a draft of 6');
  });

  it('is asked again before an effect of unknown outcome is repeated, which only a human can have done', async () => {
    const run = await open();
    stack.bank.breakOff();
    await decide(stack, 'finance', await pay(run), 'approve');
    await reaches(run, 'an unknown outcome', (body) => body.run.problem?.code === 'EXECUTOR_UNKNOWN');
    const key = await stack.fetchAs('admin', 'POST', '/v1/keys', {
      ...{ id: 'ops-bot', kind: 'agent', permissions: ['run.operate', 'run.read'] },
    });
    assert.equal(key.status, 201, JSON.stringify(key.body));
    const asBot = await fetch(`${stack.url}/v1/runs/${run}/retry`, {
      method: 'POST',
      headers: { authorization: `Bearer ${key.body.key}`, 'content-type': 'application/json' },
      body: JSON.stringify({ reason: 'again' }),
    });
    assert.deepEqual([asBot.status, ((await asBot.json()) as { code: string }).code], [403, 'HUMANS_ONLY']);
    const rejected = await audit(stack, run, 'transition.rejected');
    assert.equal(rejected.at(-1)?.data['code'], 'HUMANS_ONLY');

    const blank = await stack.fetchAs('admin', 'POST', `/v1/runs/${run}/retry`, { reason: '\u200b ' });
    assert.deepEqual([blank.status, blank.body.code], [422, 'REQUEST_INVALID']);
    const sent = stack.bank.sent.length;
    const asked = await retry(run, 'admin');
    assert.equal(asked.status, 200, JSON.stringify(asked.body));
    assert.deepEqual(
      (asked.body as RunBody).approvals.map((one) => one.status),
      ['consumed', 'open'],
    );
    assert.equal(asked.body.run.status, 'stuck');
    assert.equal((await submit(stack, 'agent', run, 'slow')).body.code, 'RUN_STUCK');
    assert.equal(stack.bank.sent.length, sent);
    const anew = (asked.body as RunBody).approvals[1]?.id ?? '';
    assert.equal((await decide(stack, 'finance', anew, 'approve')).status, 200);
    await reaches(run, 'the payment', (body) => body.run.state === 'paid');
    assert.equal(stack.bank.sent.length, sent + 1);
  });
});
