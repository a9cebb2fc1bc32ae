import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { asSuperuser } from '../../../testing/servers/database.js';
import { showApproval } from '../../../src/cli/show.js';
import { writeEmail } from '../../../src/notify/channels/email/text.js';
import type { Notification } from '../../../src/notify/types.js';
import { makeNotices } from '../../../src/service/index.js';
import { byLink, formToken, signIn, visit } from '../../../testing/browser-forms.js';
import { openOffice, startReceiver, type Office, type Parked, type Receiver } from '../../notify/support.js';

// What would run is shown the same at every door. Where it cannot be read any more, nobody approves it.

const memo = 'a text that only payloads hold';
const tools = {
  'connections.json': {
    connections: { crm: { kind: 'rest', baseUrl: 'http://127.0.0.1:9', allowPrivate: true } },
  },
  'tools/notes.json': {
    tools: [
      {
        name: 'crm.note',
        tier: 'reversible',
        summary: 'notes something',
        inputSchema: { type: 'object', properties: { memo: { type: 'string' } } },
        executor: {
          ...{ kind: 'rest', connection: 'crm', method: 'POST', path: '/notes' },
          body: { zeal: 1, memo: '$.arguments.memo?' },
        },
      },
    ],
  },
  'flows/notes.json': {
    ...{ name: 'notes', owner: 'team', permissions: { execute: ['crm.note'] } },
    approval_gate: { approver_role: 'finance.controller' },
  },
};
const expected = `{"kind":"rest","connection":"crm","method":"POST","path":"/notes","query":[],"headers":[],"body":{"zeal":1,"memo":"${memo}"}}`;

describe('what would run', () => {
  let office: Office;
  let receiver: Receiver;
  let cookie: string;
  const noted: string[] = [];
  before(async () => {
    const onInternalError = (what: string): void => void noted.push(what);
    [office, receiver] = await Promise.all([
      openOffice((deps) => ({ ...deps, onInternalError })),
      startReceiver(),
    ]);
    await office.api.load(tools);
    office.env['HOOK'] = `whsec_${Buffer.alloc(32, 7).toString('base64')}`;
    await office.route(
      `channels: { hook: { kind: webhook, url: '${receiver.url}', secret: env://HOOK, content: action, allowPrivate: true } }\nroutes: [{ to: [hook] }]\n`,
    );
    cookie = await signIn(office.api.url, office.api.keys['finance'] ?? '', '/');
  });
  after(async () => {
    await office.rest();
    await office.stop();
    await receiver.close();
  });

  async function park(given: object = { memo }): Promise<Parked> {
    const { api } = office;
    const { body } = await api.ask('agent', 'POST', '/v1/flows/notes/runs', {});
    const path = `/v1/runs/${body.run.id}/transitions/crm.note`;
    const asked = await api.ask('agent', 'POST', path, { arguments: given });
    assert.equal(asked.status, 202, asked.text);
    return { ...asked.body.result.approval, run: body.run.id };
  }
  const edit = (statement: string, values: readonly unknown[] = []) =>
    asSuperuser(office.api.database.url, statement, values);
  const pageOf = async ({ id }: Parked): Promise<string> =>
    (await fetch(`${office.api.url}/approvals/${id}`, { headers: { cookie } })).text();
  const decide = ({ id, digest }: Parked, decision: 'approve' | 'deny', more: object = {}) =>
    office.api.ask('finance', 'POST', `/v1/approvals/${id}/decision`, { decision, digest, ...more });
  const view = async ({ id }: Parked) => (await office.api.ask('finance', 'GET', `/v1/approvals/${id}`)).body;
  const cancel = ({ run }: Parked) =>
    office.api.ask('admin', 'POST', `/v1/runs/${run}/cancel`, { reason: 'nobody can read it' });
  /** Changes a byte of the payload that `ref`, an expression of SQL, names. Gives its id. */
  const damage = async (ref: string): Promise<string> => {
    const { rows } = await edit(`select ${ref} ->> 'payload' as id`);
    const { id } = rows[0] as { id: string };
    await edit(
      `alter table payload disable trigger user;
       update payload set ciphertext = set_byte(ciphertext, 40, get_byte(ciphertext, 40) # 1) where id = '${id}';
       alter table payload enable trigger user`,
    );
    return id;
  };
  const inDoc = ({ id }: Parked, field: string): string =>
    `(select (doc -> '${field}')::jsonb from approval where id = '${id}')`;
  /** Each value of it, as the answer has it: also the order of its names. */
  const shownIn = (text: string, preview: unknown): void => {
    assert.equal(JSON.stringify(preview), expected);
    assert.ok(text.includes(expected), text);
  };

  it('is shown whole by the approval, the inbox, the page and a webhook, and stands nowhere in clear', async () => {
    await office.deliver();
    const parked = await park();
    const view = await office.api.ask('finance', 'GET', `/v1/approvals/${parked.id}`);
    shownIn(view.text, view.body.preview);
    const list = await office.api.ask('finance', 'GET', '/v1/approvals?mine=true');
    shownIn(list.text, list.body.data[0].preview);
    const page = await pageOf(parked);
    const lines = JSON.stringify(JSON.parse(expected), null, 2).replaceAll('"', '&quot;');
    assert.ok(page.includes(`<pre>${lines}</pre>`), page);
    const [request] = await receiver.count(1);
    shownIn(String(request?.text), request?.body.data.action.preview);
    const { rows } = await edit(
      `select row_to_json(a)::text as text from approval a
       union all select convert_from(body, 'UTF8') from audit_record union all select doc from run where doc is not null`,
    );
    for (const { text } of rows as { text: string }[]) assert.ok(!text.includes(memo), text);
  });

  it('is approved by nobody once it cannot be read: the refusal is on record, nothing runs, and it can be denied', async () => {
    const parked = await park();
    await edit(
      `alter table payload disable trigger user;
       delete from payload where id = (select doc -> 'previewRef' ->> 'payload' from approval where id = '${parked.id}');
       alter table payload enable trigger user`,
    );
    const { preview, may } = (await office.api.ask('finance', 'GET', `/v1/approvals/${parked.id}`)).body;
    const message = 'what would run can no longer be read, so it can only be denied';
    assert.deepEqual([preview, may], [null, { decide: true, verbs: ['deny'], why: 'preview_gone', message }]);
    assert.ok((await pageOf(parked)).includes(`Cannot be approved: ${message}.`));
    const approved = await decide(parked, 'approve');
    assert.deepEqual(
      [approved.status, approved.body.code, approved.body.why],
      [409, 'DIGEST_MISMATCH', 'preview_gone'],
    );
    const crossed = { decision: 'approve', digest: (await park()).digest };
    const other = await office.api.ask('finance', 'POST', `/v1/approvals/${parked.id}/decision`, crossed);
    assert.deepEqual([other.status, other.body.code], [409, 'DIGEST_MISMATCH']);
    const records = async (): Promise<readonly any[]> =>
      (await office.api.ask('auditor', 'GET', `/v1/audit?run=${parked.run}`)).body.data;
    const refused = (await records()).filter(({ type }) => type === 'approval.refused');
    assert.deepEqual(refused[0]?.data, { code: 'DIGEST_MISMATCH', decision: 'approve', why: 'preview_gone' });
    assert.equal((await decide(parked, 'deny')).status, 200);
    assert.ok((await records()).every(({ type }) => !String(type).startsWith('executor.')));
  });

  it('is shown again with the buttons that there are, where a form is sent without one', async () => {
    const parked = await park();
    const address = `${office.api.url}/approvals/${parked.id}`;
    const token = formToken(await visit(address, cookie));
    const send = () => visit(address, cookie, { digest: parked.digest, token, reason: 'typed' });
    const said = /Nothing was decided: ([^.]+)\./;
    assert.equal(said.exec((await send()).text)?.[1], 'choose Approve or Deny');
    await damage(inDoc(parked, 'previewRef'));
    const link = await office.api.ask('finance', 'POST', `/v1/approvals/${parked.id}/links`, { minutes: 5 });
    const path = `${office.api.url}${String(link.body.path)}`;
    const byMail = () => visit(path, '', { digest: parked.digest, ...byLink });
    for (const sent of [await send(), await byMail()]) {
      assert.equal(sent.status, 422);
      assert.equal(said.exec(sent.text)?.[1], 'choose Deny');
    }
    assert.equal((await decide(parked, 'deny')).status, 200);
    assert.equal(said.exec((await send()).text)?.[1], 'there is nothing to choose any more');
  });

  it('is denied where its payload is damaged, which keeps no list, page or notification from those who look', async () => {
    const [parked, other] = [await park(), await park()];
    const payload = await damage(inDoc(parked, 'previewRef'));
    for (const query of ['?mine=true', '', '?status=open']) {
      const list = await office.api.ask('finance', 'GET', `/v1/approvals${query}`);
      assert.equal(list.status, 200, list.text);
      const found = list.body.data.find(({ id }: Parked) => id === parked.id);
      assert.deepEqual([found.preview, found.unreadable, found.may.verbs], [null, ['preview'], ['deny']]);
      const whole = list.body.data.find(({ id }: Parked) => id === other.id);
      assert.ok(whole.may.verbs.includes('approve'));
    }
    assert.ok(noted.includes(`payload \`${payload}\``), noted.join());
    const page = await pageOf(parked);
    assert.deepEqual([page.includes('value="approve"'), page.includes('value="deny"')], [false, true]);
    assert.ok(page.includes('<pre>(cannot be read)</pre>'), page);
    assert.ok((await pageOf(other)).includes('value="approve"'));
    assert.deepEqual((await makeNotices(office.api.deps).body(parked.id))?.['unreadable'], ['preview']);
    const denied = await decide(parked, 'deny', { reason: 'unseen' });
    assert.deepEqual([denied.status, denied.body.approval?.status], [200, 'denied'], denied.text);
    await damage(
      `(select "reasonRef"::jsonb from (select reason_ref as "reasonRef" from decision where approval = '${parked.id}') d)`,
    );
    const after = await office.api.ask('finance', 'GET', '/v1/approvals?status=denied');
    const told = after.body.data.find(({ id }: Parked) => id === parked.id);
    const [{ reason, unreadable }] = told.decisions;
    assert.deepEqual([after.status, reason, unreadable], [200, null, ['reason']]);
  });

  for (const [why, spoil] of [
    ['are damaged', (parked: Parked) => damage(inDoc(parked, 'argumentsRef'))],
    [
      'were erased with their key',
      ({ run }: Parked) => edit(`update payload_key set wrapped = null where run = '${run}'`),
    ],
  ] as const)
    it(`is decided by nobody where the arguments ${why}; its run can be cancelled`, async () => {
      const parked = await park({ memo: `which ${why}` });
      await spoil(parked);
      const message = `the arguments that were asked for can no longer be read, so it can be neither approved nor denied: cancel run \`${parked.run}\``;
      const shown = await view(parked);
      const { may, unreadable } = shown;
      assert.deepEqual(may, { decide: false, verbs: [], why: 'arguments_gone', message });
      assert.equal(unreadable[0], 'arguments');
      const [line] = showApproval(shown).filter((each) => each.includes('arguments  '));
      assert.match(String(line), /"\(cannot be read\)"$/);
      const mail = writeEmail({
        ...{ id: 'ntf_1', event: 'requested', approval: parked.id, body: shown, url: null, link: null },
      } as Notification);
      assert.ok(mail.text.includes('Exactly these arguments:\n(cannot be read)\n'), mail.text);
      const page = await pageOf(parked);
      assert.ok(
        page.includes(`Nothing to decide here: ${message}.`) && !page.includes('name="decision"'),
        page,
      );
      for (const [decision, more] of [
        ['approve', {}],
        ['deny', {}],
        ['deny', { reason: 'no' }],
      ] as const) {
        const { status, body } = await decide(parked, decision, more);
        assert.deepEqual([status, body.code, body.why], [409, 'DIGEST_MISMATCH', 'arguments_gone']);
      }
      const cancelled = await cancel(parked);
      assert.deepEqual([cancelled.status, cancelled.body.run?.status], [200, 'cancelled'], cancelled.text);
      assert.equal((await view(parked)).status, 'revoked');
    });

  it('is denied without a reason where none can be kept, since the values of the run were erased', async () => {
    const parked = await park({});
    await edit(`update payload_key set wrapped = null where run = '${parked.run}'`);
    assert.deepEqual((await view(parked)).may.verbs, ['deny']);
    const kept = await decide(parked, 'deny', { reason: 'no' });
    assert.deepEqual([kept.status, kept.body.code], [409, 'RUN_STUCK'], kept.text);
    assert.match(
      kept.body.detail,
      /so the reason cannot be kept: decide without a reason, or cancel the run$/,
    );
    const bob = { id: 'bob', kind: 'human', roles: ['finance.controller'], permissions: [] };
    await office.api.ask('admin', 'POST', '/v1/keys', bob);
    const path = `/v1/approvals/${parked.id}/delegate`;
    const handed = await office.api.ask('finance', 'POST', path, { to: 'bob', note: 'look' });
    assert.deepEqual([handed.status, handed.body.code], [422, 'REQUEST_INVALID'], handed.text);
    assert.deepEqual((await view(parked)).delegations, []);
    const denied = await decide(parked, 'deny');
    assert.deepEqual([denied.status, denied.body.approval?.status], [200, 'denied'], denied.text);
  });

  it('is approved by nobody where its row says something else than was asked', async () => {
    const other = await park({ memo: 'another' });
    for (const [field, value] of [
      ['consequence', `'"nothing"'`],
      ['argumentsRef', inDoc(other, 'argumentsRef')],
      ['argumentsRef', `'null'`],
    ] as const) {
      const parked = await park();
      await edit(
        `update approval set doc = jsonb_set(doc::jsonb, '{${field}}', ${value})::json where id = $1`,
        [parked.id],
      );
      const approved = await decide(parked, 'approve');
      assert.deepEqual([approved.status, approved.body.why], [409, 'shown_changed'], field);
      assert.equal((await decide(parked, 'deny')).status, 200);
    }
  });

  it('is shown and approved as before where an earlier build opened the approval', async () => {
    const parked = await park();
    await edit(
      `update approval set doc = (doc::jsonb - 'previewRef' || jsonb_build_object('preview', $2::jsonb))::json where id = $1`,
      [parked.id, expected],
    );
    const { preview } = await office.approval(parked.id);
    assert.deepEqual(preview, JSON.parse(expected));
    assert.equal((await decide(parked, 'approve')).status, 200);
  });
});
