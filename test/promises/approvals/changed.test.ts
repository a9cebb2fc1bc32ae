import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { canonical } from '../../../src/model/values/canonical.js';
import { bindingDigest, boundRules } from '../../../src/engine/index.js';
import type { Action } from '../../../src/engine/state.js';
import type { JsonObject } from '../../../src/model/values/json.js';
import { stateWithoutValues, type RunDocument } from '../../../src/store/runs/document.js';
import { sha256 } from '../../../src/schema/kit.js';
import { asSuperuser } from '../../../testing/servers/database.js';
import { audit, decide, getRun, startRun, submit, until } from '../../../testing/flows.js';
import { lastBell, ring } from '../../../testing/bells.js';
import { inCampaigns, isFull } from '../../../testing/samples.js';
import { startWithBank, type StackWithBank } from './bank.js';

// A payment to DE1 that a controller approves, and everything by which something else could be made of it.

const tool = (path: string): string => `
version: 1
tools:
  - name: bank.pay
    tier: irreversible
    inputSchema:
      type: object
      additionalProperties: false
      required: [amount]
      properties: { amount: { type: number } }
    executor:
      kind: rest
      connection: bank
      method: POST
      path: ${path}
      body: { amount: '$.arguments.amount', to: '$.context.iban', for: '$.workflow.input.invoice' }
      idempotencyKey: true
`;
const connections = (query: string): string => `
version: 1
connections:
  bank: { kind: rest, baseUrl: 'env://BANK_URL', allowPrivate: true${query} }
`;
const environments = (floor: string): string => `version: 1\nenvironments:\n  dev: {${floor}}\n`;
const flow = `
version: 1
workflows:
  bill:
    owner: test
    inputSchema: { type: object, additionalProperties: false, properties: { invoice: { type: string } } }
    initialState: open
    initialContext: { iban: DE1 }
    states:
      open:
        transitions:
          pay:
            target: open
            tool: bank.pay
            gate: { roles: [finance.controller], timeout: { after: 24h } }
          note:
            target: open
            tier: reversible
            executor: { kind: noop }
            inputSchema: { type: object, additionalProperties: false, required: [iban], properties: { iban: { type: string } } }
            output: { iban: '$.arguments.iban' }
          slow:
            target: open
            tier: reversible
            executor: { kind: rest, connection: bank, method: POST, path: /slow, idempotencyKey: true }
          look:
            target: open
            tier: reversible
            executor: { kind: rest, connection: bank, method: POST, path: /slow, idempotencyKey: true }
            output: { iban: $.output.iban }
      done: { terminal: true }
`;

interface Parked {
  readonly run: string;
  readonly approval: string;
  readonly digest: string;
  readonly poll: string;
}

describe('what an approver has approved, and something changes it', () => {
  let stack: StackWithBank;
  before(async () => {
    const policies = {
      'connections.yaml': connections(''),
      'environments.yaml': environments(''),
      'tools/bank.yaml': tool('/pay'),
      'flows/bill.yaml': flow,
    };
    stack = await startWithBank(policies, { iban: 'EVIL' });
  });
  after(() => stack.stop());

  const park = async (amount = 5): Promise<Parked> => {
    const { run } = await startRun(stack, 'agent', 'bill', { invoice: 'A1' });
    const { status, body } = await submit(stack, 'agent', run.id, 'pay', { arguments: { amount } });
    assert.equal(status, 202, JSON.stringify(body));
    const { id, digest } = body.result.approval;
    return { run: run.id, approval: id, digest, poll: body.result.poll };
  };
  const paid = (run: string) =>
    stack.bank.sent.filter((one) => one.path !== '/slow' && one.key.startsWith(run));
  const ended = async ({ poll }: Parked) =>
    until(`${poll} to end`, async () => {
      const { body } = await stack.fetchAs('agent', 'GET', poll);
      return ['executed', 'failed', 'unknown'].includes((body as { status: string }).status)
        ? (body as { status: string; error?: { code: string; message: string } })
        : null;
    });
  const reload = async (path: string, text: string, confirm: readonly string[] = []): Promise<void> => {
    writeFileSync(join(stack.policies, path), text);
    const { status, body } = await stack.fetchAs('admin', 'POST', '/v1/policies/reload', { confirm });
    assert.equal(status, 200, JSON.stringify(body));
  };
  const edit = (statement: string, values: readonly unknown[]) =>
    asSuperuser(stack.databaseUrl, statement, values);
  /** The document, and with `isTold` its digest too, as who knows the product would. */
  const inDoc = async (run: string, change: (document: any) => void, isTold = true): Promise<void> => {
    const { rows } = await edit('select doc from run where id = $1', [run]);
    const document = JSON.parse((rows[0] as { doc: string }).doc) as RunDocument;
    change(document);
    const text = canonical(document as unknown as JsonObject);
    await edit(
      'update run set doc = $2, doc_digest = case when $4 then $3 else doc_digest end where id = $1',
      [run, text, sha256(text), isTold],
    );
  };
  /** Approved, and it waits for its turn; what is given happens meanwhile. */
  const approvedThen = async (
    meanwhile: (parked: Parked) => Promise<unknown>,
    first = 'slow',
  ): Promise<Parked> => {
    const parked = await park();
    const hold = stack.bank.hold();
    const slow = submit(stack, 'agent', parked.run, first);
    await until('the slow call', async () => hold.held());
    const said = await decide(stack, 'finance', parked.approval, 'approve');
    assert.equal(said.status, 200, JSON.stringify(said.body));
    assert.equal(said.body.approval.status, 'approved');
    await meanwhile(parked);
    hold.release();
    await slow;
    return parked;
  };
  /** Nothing was sent, and run and action say what is not as it was. */
  const refused = async (parked: Parked, says: RegExp): Promise<void> => {
    const action = await ended(parked);
    assert.equal(action.status, 'failed', JSON.stringify([action, bodies(parked.run)]));
    assert.match(action.error?.message ?? '', says);
    assert.deepEqual(paid(parked.run), []);
    const records = await audit(stack, parked.run);
    assert.ok(
      records.some(
        ({ type, data }) =>
          (type === 'transition.rejected' || type === 'executor.failed') &&
          says.test(String(data['message'])),
      ),
      JSON.stringify(records.map(({ type, data }) => [type, data])),
    );
  };
  const approve = async (parked: Parked): Promise<void> => {
    const said = await decide(stack, 'finance', parked.approval, 'approve');
    assert.equal(said.status, 200, JSON.stringify(said.body));
  };
  const problemOf = async (run: string): Promise<string | undefined> =>
    (await getRun(stack, 'admin', run)).run.problem?.code;
  const refusals = async (run: string): Promise<string[]> =>
    (await audit(stack, run, 'message.refused')).map(
      ({ data }) => `${String(data['name'])}:${String(data['reason'])}`,
    );
  const original = [{ amount: 5, to: 'DE1', for: 'A1' }];
  const bodies = (run: string) => paid(run).map((one) => one.body);

  it('runs as it was approved when nothing does', async () => {
    const parked = await approvedThen(() => Promise.resolve());
    assert.equal((await ended(parked)).status, 'executed');
    assert.deepEqual(bodies(parked.run), original);
  });

  it('other arguments are another approval, and the decision on the first is none on that', async () => {
    const parked = await park();
    const other = await submit(stack, 'agent', parked.run, 'pay', { arguments: { amount: 5_000 } });
    const { id, digest } = other.body.result.approval;
    assert.notEqual(id, parked.approval);
    const path = `/v1/approvals/${parked.approval}/decision`;
    const crossed = await stack.fetchAs('finance', 'POST', path, { decision: 'approve', digest });
    assert.equal(crossed.status, 409);
    assert.equal(crossed.body.code, 'DIGEST_MISMATCH');
    assert.match(JSON.stringify(crossed.body.changed), /amount/);
    await approve(parked);
    assert.equal((await ended(parked)).status, 'executed');
    assert.deepEqual(bodies(parked.run), original);
  });

  it('a mapping of another transition changes the context that the call reads', async () => {
    const parked = await park();
    assert.equal(
      (await submit(stack, 'agent', parked.run, 'note', { arguments: { iban: 'EVIL' } })).status,
      200,
    );
    await approve(parked);
    await refused(parked, /`\$\.context\.iban` has changed/);
    const late = await approvedThen(() => Promise.resolve(), 'look');
    await refused(late, /`\$\.context\.iban` has changed/);
  });

  it('the policies are loaded again with another connection, or with stricter rules', async () => {
    const before = await park();
    await reload('connections.yaml', connections(", headers: { x-account: 'other' }"));
    await approve(before);
    await refused(before, /connection/);
    const after = await approvedThen(() => reload('connections.yaml', connections('')));
    await refused(after, /connection/);
    const strict = await approvedThen(() =>
      reload(
        'environments.yaml',
        environments(
          ' gates: [{ tiers: [irreversible], roles: [finance.controller], quorum: { count: 2 } }] ',
        ),
      ),
    );
    await refused(strict, /asks for more than what it was approved under: quorum/);
    await reload('environments.yaml', environments(''), [
      'dev: irreversible by finance.controller, quorum 2',
    ]);
  });

  it("somebody writes into the run's row: other arguments, with and without a digest that fits them", async () => {
    const other = await park(5_000);
    const { rows } = await edit('select doc from run where id = $1', [other.run]);
    const held = (JSON.parse((rows[0] as { doc: string }).doc) as RunDocument).approvals[0]?.action.held;
    assert.ok(held, 'the arguments of the other run are a payload');
    const evil = (document: any): void => {
      document.approvals[0].action.held = held;
    };
    await refused(await approvedThen(({ run }) => inDoc(run, evil)), /is not what was approved/);
    const fitting = (document: any): void => {
      evil(document);
      const [{ action, gates }] = document.approvals;
      const digest = (value: JsonObject): string => sha256(canonical(value));
      const whole: Action = { ...action, arguments: { amount: 5_000 } };
      action.digest = bindingDigest({ digest }, stateWithoutValues(document), whole, boundRules(gates));
    };
    await refused(
      await approvedThen(({ run }) => inDoc(run, fitting)),
      /names another action than the one that would run/,
    );
  });

  it(
    "somebody writes into the run's row: what the call reads besides its arguments",
    inCampaigns,
    async () => {
      const context = await approvedThen(({ run }) =>
        inDoc(run, (document) => (document.context = { iban: 'EVIL' })),
      );
      await refused(context, /`\$\.context\.iban` has changed/);
      const input = await approvedThen(({ run }) => inDoc(run, (document) => (document.heldInput = null)));
      await refused(input, /`\$\.workflow\.input\.invoice` has changed/);
    },
  );

  it("somebody writes into the run's row that it was approved, by whom nobody asked", async () => {
    const hold = stack.bank.hold();
    const parked = await park();
    const slow = submit(stack, 'agent', parked.run, 'slow');
    await until('the slow call', async () => hold.held());
    await inDoc(parked.run, (state) =>
      Object.assign(state.approvals[0], { status: 'approved', queued: true }),
    );
    hold.release();
    await slow;
    await refused(parked, /somebody who approved it no longer decides where it waited/);
  });

  it("somebody writes into the run's document while it waits: nothing is built on it, and the run says so", async () => {
    const parked = await park();
    await inDoc(parked.run, (document) => (document.context = { iban: 'EVIL' }), false);
    const told = await decide(stack, 'finance', parked.approval, 'approve');
    await until('the run to be stuck', async () => (await problemOf(parked.run)) === 'HISTORY_FORKED');
    const [stuck] = await audit(stack, parked.run, 'run.stuck');
    assert.match(String(stuck?.data['message']), /is not the one that its step 2 wrote/);
    assert.deepEqual(paid(parked.run), [], JSON.stringify(told.body));
  });

  it(
    "somebody writes into the run's document during an effect: what became of that is for a person to say",
    inCampaigns,
    async () => {
      const parked = await approvedThen(({ run }) =>
        inDoc(run, (document) => (document.context = { iban: 'EVIL' }), false),
      );
      await until('the run to be stuck', async () => (await problemOf(parked.run)) === 'HISTORY_FORKED');
      assert.deepEqual(paid(parked.run), []);
      const { rows } = await edit(`select status, error from action where run = $1 and transition = 'slow'`, [
        parked.run,
      ]);
      assert.equal((rows[0] as { status: string }).status, 'unknown');
    },
  );

  it("somebody writes into the approval's row: the run knows what it has asked", async () => {
    const parked = await park();
    await edit(`update approval set digest = $2 where id = $1`, [
      parked.approval,
      `sha256:${'0'.repeat(64)}`,
    ]);
    const said = await decide(stack, 'finance', parked.approval, 'approve');
    assert.equal(said.status, 409, JSON.stringify(said.body));
    assert.equal(said.body.code, 'DIGEST_MISMATCH');
    assert.deepEqual(paid(parked.run), []);
  });

  it("somebody writes into the approval's row what its approvers are shown", async () => {
    const other = await park(1);
    const changes = [
      `jsonb_set(doc::jsonb, '{summary}', '"pays 1 to DE1"')`,
      // The preview of another approval of the same flow.
      `jsonb_set(doc::jsonb, '{previewRef}', (select doc::jsonb -> 'previewRef' from approval where id = '${other.approval}'))`,
      `jsonb_set(doc::jsonb, '{consequence}', '"nothing"')`,
      `jsonb_set(doc::jsonb, '{argumentsRef}', (select doc::jsonb -> 'argumentsRef' from approval where id = '${other.approval}'))`,
      `jsonb_set(doc::jsonb, '{argumentsRef}', 'null')`,
    ];
    for (const doc of isFull ? changes : changes.slice(1, 2)) {
      const change = ({ approval }: Parked) =>
        edit(`update approval set doc = (${doc})::json where id = $1`, [approval]);
      const parked = await approvedThen(change);
      await refused(parked, /shown to the approvers/);
      assert.equal((await ended(parked)).error?.code, 'DIGEST_MISMATCH');
      const open = await park();
      await change(open);
      const { body } = await decide(stack, 'finance', open.approval, 'approve');
      assert.deepEqual([body.code, body.why], ['DIGEST_MISMATCH', 'shown_changed']);
    }
  });

  it('a decision is carried from one run to another', async () => {
    const source = await approvedThen(() => Promise.resolve());
    assert.equal((await ended(source)).status, 'executed');
    const target = await park();
    // The message itself, as the store and the history have it.
    const bell = await lastBell(stack, source.run, 'decide');
    await ring(stack, target.run, bell, 'dev');
    await until('its refusal', async () => (await refusals(target.run)).includes('decide:wrong_run'));
    // And moved: what was signed names the run.
    const id = `${bell.id}_moved`;
    await edit(
      `insert into message (id, run, kind, text, digest, key_id, signature, bytes)
       select $3, $2, kind, text, digest, key_id, signature, bytes from message where id = $1`,
      [bell.id, target.run, id],
    );
    await ring(stack, target.run, { ...bell, id }, 'dev');
    await until('its refusal', async () => (await refusals(target.run)).includes('decide:bad_signature'));
    await edit('delete from message where id = $1', [bell.id]);
    await edit('update message set id = $1, rev = null, answer = null where id = $2', [bell.id, id]);
    await ring(stack, target.run, bell, 'dev');
    await until(
      'its refusal',
      async () => (await refusals(target.run)).filter((reason) => reason === 'decide:wrong_run').length === 2,
    );
    assert.deepEqual([bodies(source.run), bodies(target.run)], [original, []]);
  });

  it("the policies are loaded again with another tool, and somebody points the run's row to its plan", async () => {
    const parked = await park();
    const moved = await approvedThen(async ({ run }) => {
      await reload('tools/bank.yaml', tool('/elsewhere'));
      const { rows } = await asSuperuser(
        stack.databaseUrl,
        `select hash from plan where body like '%"/elsewhere"%'`,
      );
      await edit('update run set plan_hash = $2 where id = $1', [run, (rows[0] as { hash: string }).hash]);
    });
    await refused(moved, /not what the run's plan says/);
    await approve(parked);
    assert.equal((await ended(parked)).status, 'executed');
    assert.deepEqual(
      paid(parked.run).map((one) => [one.path, one.body]),
      [['/pay', original[0]]],
    );
  });
});
