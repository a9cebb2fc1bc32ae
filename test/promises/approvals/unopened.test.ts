import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { after, before, describe, it } from 'node:test';
import { showAction } from '../../../src/cli/decide.js';
import type { Api } from '../../../src/cli/rest.js';
import { makePayloads } from '../../../src/audit/index.js';
import type { PayloadRef } from '../../../src/model/records.js';
import { makeNotices } from '../../../src/service/index.js';
import { asSuperuser } from '../../../testing/servers/database.js';
import { signIn } from '../../../testing/browser-forms.js';
import { until } from '../../../testing/until.js';
import { openOffice, type Office, type Parked } from '../../notify/support.js';

// Where the key of a run's payloads does not open, as in a process with another key-encryption key, nothing is known of them: no door
// tells them as lost, none fails for the others, and nothing that was refused for it stays refused.

const inputSchema = { type: 'object', properties: { memo: { type: 'string' } } };
const executor = {
  ...{ kind: 'rest', connection: 'crm', method: 'POST', path: '/notes' },
  body: { zeal: 1, memo: '$.arguments.memo?' },
};
const policies = {
  'tools/notes.json': {
    tools: [{ name: 'crm.note', tier: 'reversible', summary: 'notes something', inputSchema, executor }],
  },
  'flows/notes.json': {
    ...{ name: 'notes', owner: 'team', permissions: { execute: ['crm.note'] } },
    approval_gate: { approver_role: 'finance.controller' },
  },
  'flows/reasoned.json': {
    ...{ name: 'reasoned', owner: 'team', permissions: { execute: ['crm.note'] } },
    approval_gate: { approver_role: 'finance.controller', reason: 'required' },
  },
  'flows/unused.json': {
    ...{ name: 'unused', owner: 'team', permissions: { execute: ['crm.note'] } },
    approval_gate: { approver_role: 'finance.controller' },
  },
  'flows/shut.json': {
    ...{ name: 'shut', owner: 'team', permissions: { execute: ['crm.note'] } },
    approval_gate: { approver_role: 'finance.controller' },
  },
  'flows/told.json': {
    version: 1,
    workflows: {
      told: {
        ...{ owner: 'team', initialState: 'a', inputSchema },
        states: {
          a: {
            transitions: {
              note: {
                ...{ target: 'a', tier: 'reversible', inputSchema, executor },
                gate: { roles: ['finance.controller'] },
              },
            },
          },
        },
      },
    },
  },
};

describe('what a key that does not open keeps from being read', () => {
  const crm = createServer((_request, response) => response.end('{"noted":true}'));
  let office: Office;
  let cookie: string;
  const told: string[] = [];
  before(async () => {
    const onInternalError = (what: string, error: unknown): void =>
      void told.push(`${what}: ${error instanceof Error ? error.message : String(error)}`);
    office = await openOffice((deps) => ({ ...deps, onInternalError }));
    crm.listen(0, '127.0.0.1');
    await once(crm, 'listening');
    const baseUrl = `http://127.0.0.1:${(crm.address() as AddressInfo).port}`;
    const connections = { crm: { kind: 'rest', baseUrl, allowPrivate: true } };
    await office.api.load({ ...policies, 'connections.json': { connections } });
    cookie = await signIn(office.api.url, office.api.keys['finance'] ?? '', '/');
  });
  after(async () => {
    await office.rest();
    await office.stop();
    crm.close();
  });

  const ask: Office['api']['ask'] = (...asked) => office.api.ask(...asked);
  async function begin(flow: string, body: object = {}): Promise<string> {
    const begun = await ask('agent', 'POST', `/v1/flows/${flow}/runs`, body);
    assert.equal(begun.status, 201, begun.text);
    return begun.body.run.id;
  }
  const submit = (run: string, given: object, headers: Record<string, string> = {}) =>
    ask('agent', 'POST', `/v1/runs/${run}/transitions/crm.note`, { arguments: given }, headers);
  async function park(
    given: object = { memo: 'a text' },
    flow = 'notes',
    more: object = {},
  ): Promise<Parked> {
    const run = await begin(flow);
    const asked = await ask('agent', 'POST', `/v1/runs/${run}/transitions/crm.note`, {
      arguments: given,
      ...more,
    });
    assert.equal(asked.status, 202, asked.text);
    return { ...asked.body.result.approval, run };
  }
  const erase = (run: string) =>
    asSuperuser(office.api.database.url, `update payload_key set wrapped = null where run = '${run}'`);
  /** Changes a bit of the run's key; done twice, the key is as it was. */
  const turn = (run: string) =>
    asSuperuser(
      office.api.database.url,
      `alter table payload_key disable trigger user;
       update payload_key set wrapped = set_byte(wrapped, 20, get_byte(wrapped, 20) # 1) where run = '${run}';
       alter table payload_key enable trigger user`,
    );
  const list = async (query = '') => {
    const listed = await ask('finance', 'GET', `/v1/approvals${query}`);
    assert.equal(listed.status, 200, listed.text);
    return listed.body as { data: any[]; nextCursor: string | null };
  };
  const cancel = async (run: string): Promise<void> => {
    const cancelled = await ask('admin', 'POST', `/v1/runs/${run}/cancel`, { reason: 'no more' });
    assert.deepEqual([cancelled.status, cancelled.body.run?.status], [200, 'cancelled'], cancelled.text);
  };
  const decide = ({ id, digest }: Parked, decision: 'approve' | 'deny', more: object = {}) =>
    ask('finance', 'POST', `/v1/approvals/${id}/decision`, { decision, digest, ...more });
  const keyOf = (run: string): string =>
    `the key of the payloads of run \`${run}\` does not open here; see that every process of the service has the \`COUNTERSIGN_KEK\` (or \`keys/kek\` of the data folder) under which this run was begun; only if it has, the key is damaged`;

  it('takes no list, page or cursor from anybody, also where it is all that a page holds', async () => {
    const parked = await park();
    await turn(parked.run);
    for (const query of ['?mine=true', '', '?status=open', '?limit=1'])
      assert.deepEqual(
        (await list(query)).data.map(({ id }) => id),
        [parked.id],
      );
    const page = await fetch(`${office.api.url}/sign-in`, { headers: { cookie } });
    assert.ok(page.status === 200 && (await page.text()).includes(parked.id));
    const other = await park();
    const first = await list('?limit=1&order=age');
    const second = await list(`?limit=1&order=age&cursor=${String(first.nextCursor)}`);
    assert.deepEqual([first.data[0].id, second.data[0].id], [parked.id, other.id]);
    assert.deepEqual(second.data[0].may.verbs, ['approve', 'deny']);
    await cancel(parked.run);
    assert.equal((await list('?status=revoked&limit=1')).data[0].id, parked.id);
    await cancel(other.run);
    await turn(parked.run);
  });

  it('is told alike by the list, the approval and its page, and as lost by none', async () => {
    const parked = await park();
    await turn(parked.run);
    told.length = 0;
    const message = `what was asked for cannot be read here, so it is neither approved nor denied: ${keyOf(parked.run)}, and the run can be cancelled`;
    const may = { decide: false, verbs: [], why: 'key_unopened', message };
    const listed = (await list()).data.find(({ id }) => id === parked.id);
    const alone = await ask('finance', 'GET', `/v1/approvals/${parked.id}`);
    assert.equal(alone.status, 200, alone.text);
    for (const shown of [listed, alone.body])
      assert.deepEqual(
        [shown.may, shown.unreadable, shown.arguments, shown.preview],
        [may, ['arguments', 'preview'], {}, null],
      );
    const page = await fetch(`${office.api.url}/approvals/${parked.id}`, { headers: { cookie } });
    const text = await page.text();
    assert.ok(page.status === 200 && text.includes(`Nothing to decide here: ${message}.`), text);
    assert.deepEqual(new Set(told), new Set([`payloads: ${keyOf(parked.run)}`]));
    await assert.rejects(makeNotices(office.api.deps).body(parked.id), { message: keyOf(parked.run) });
    await turn(parked.run);
    assert.equal((await makeNotices(office.api.deps).body(parked.id))?.['unreadable'], undefined);
    await cancel(parked.run);
  });

  it('refuses a decision only for now, and of a batch only its own', async () => {
    const [parked, other] = [await park(), await park()];
    await turn(parked.run);
    const decisions = [parked, other].map(({ id, digest }) => ({
      ...{ approval: id, digest },
      decision: 'approve',
    }));
    for (const mode of ['each', 'all']) {
      const batch = { decisions, mode, dryRun: true };
      const dry = await ask('finance', 'POST', '/v1/approvals/batch', batch);
      assert.deepEqual(
        [dry.status, ...(dry.body.results ?? []).map(({ status, code }: any) => code ?? status)],
        [200, 'KEY_UNOPENED', 'would_apply'],
        dry.text,
      );
    }
    for (const decision of ['approve', 'deny'] as const) {
      const { status, body, headers } = await decide(parked, decision);
      assert.deepEqual(
        [status, body.code, body.why, headers.get('retry-after')],
        [503, 'KEY_UNOPENED', 'key_unopened', '2'],
      );
    }
    await turn(parked.run);
    const token = (
      await ask('finance', 'POST', '/v1/approvals/batch', { decisions, mode: 'all', dryRun: true })
    ).body.token as string;
    await turn(parked.run);
    const key = { 'idempotency-key': 'the-batch' };
    const real = { decisions, mode: 'all', token, dryRun: false };
    const all = await ask('finance', 'POST', '/v1/approvals/batch', real, key);
    assert.deepEqual([all.status, all.body.code], [409, 'BATCH_REFUSED'], all.text);
    await turn(parked.run);
    const again = await ask('finance', 'POST', '/v1/approvals/batch', real, key);
    assert.deepEqual([again.status, again.body.ok], [200, true], again.text);
  });

  it('lets an approval without arguments be denied without a reason, and keeps no note', async () => {
    const parked = await park({});
    await turn(parked.run);
    const { may } = (await ask('finance', 'GET', `/v1/approvals/${parked.id}`)).body;
    const message = `what would run cannot be read here, so it can only be denied, without a reason: ${keyOf(parked.run)}, and the run can be cancelled`;
    assert.deepEqual(may, { decide: true, verbs: ['deny'], why: 'key_unopened', message });
    assert.deepEqual((await decide(parked, 'approve')).body.code, 'KEY_UNOPENED');
    const kept = await decide(parked, 'deny', { reason: 'no' });
    assert.deepEqual([kept.status, kept.body.code], [503, 'KEY_UNOPENED'], kept.text);
    assert.match(kept.body.detail, /can be decided without a reason, or cancelled$/);
    const bob = { id: 'bob', kind: 'human', roles: ['finance.controller'], permissions: [] };
    await ask('admin', 'POST', '/v1/keys', bob);
    const path = `/v1/approvals/${parked.id}/delegate`;
    const handed = await ask('finance', 'POST', path, { to: 'bob', note: 'look' });
    assert.deepEqual([handed.status, handed.body.code], [503, 'KEY_UNOPENED'], handed.text);
    const denied = await decide(parked, 'deny');
    assert.deepEqual([denied.status, denied.body.approval?.status], [200, 'denied'], denied.text);
  });

  for (const [why, close, code, how] of [
    [
      'whose key does not open',
      turn,
      'KEY_UNOPENED',
      /^the reason cannot be kept here, .+ decided without a reason, or cancelled$/,
    ],
    [
      'that were erased',
      erase,
      'RUN_STUCK',
      /so the reason cannot be kept: decide without a reason, or cancel the run$/,
    ],
  ] as const)
    it(`has a dry run say of a denial with a reason what the decision says, under values ${why}`, async () => {
      const parked = await park({});
      await close(parked.run);
      const dryRun = async (more: object) => {
        const decisions = [{ approval: parked.id, digest: parked.digest, decision: 'deny', ...more }];
        const dry = await ask('finance', 'POST', '/v1/approvals/batch', {
          decisions,
          mode: 'each',
          dryRun: true,
        });
        assert.equal(dry.status, 200, dry.text);
        return dry.body.results[0];
      };
      const told = await dryRun({ reason: 'no' });
      const decided = await decide(parked, 'deny', { reason: 'no' });
      assert.deepEqual([told.status, told.code, told.detail], ['refused', code, decided.body.detail]);
      assert.equal(decided.body.code, code, decided.text);
      assert.match(decided.body.detail, how);
      assert.equal((await dryRun({ reason: ' ' })).status, 'would_apply');
      assert.equal((await dryRun({})).status, 'would_apply');
      assert.equal((await decide(parked, 'deny')).status, 200);
    });

  for (const [close, code, why, may, how] of [
    [
      ...[
        turn,
        'KEY_UNOPENED',
        'key_unopened',
        /^what would run cannot be read here, and the reason that a denial needs cannot be kept, so it is neither approved nor denied: the key .+ the run can be cancelled$/,
      ],
      /^this gate asks for a reason, and none can be kept here, so it cannot be denied: the key .+ the run can be cancelled$/,
    ],
    [
      ...[
        erase,
        'RUN_STUCK',
        'preview_gone',
        /^what would run can no longer be read, and the reason that a denial needs cannot be kept, so it can be neither approved nor denied: cancel run `/,
      ],
      /so the reason that this gate asks for cannot be kept, and it cannot be denied: cancel the run$/,
    ],
  ] as const)
    it(`offers no denial for which a reason is needed that cannot be kept: ${why}`, async () => {
      const parked = await park({}, 'reasoned');
      await close(parked.run);
      const shown = (await ask('finance', 'GET', `/v1/approvals/${parked.id}`)).body.may;
      assert.deepEqual([shown.decide, shown.verbs, shown.why], [false, [], why]);
      assert.match(shown.message, may);
      for (const more of [{}, { reason: 'no' }]) {
        const { body } = await decide(parked, 'deny', more);
        assert.equal(body.code, code);
        assert.match(body.detail, how);
      }
      await cancel(parked.run);
    });

  it('refuses a submit that brings values only for now: under its Idempotency-Key it is done once the key opens', async () => {
    const run = await begin('notes');
    assert.equal((await submit(run, { memo: 'first' })).status, 202);
    await turn(run);
    const key = { 'idempotency-key': 'the-submit' };
    const refused = await submit(run, { memo: 'more' }, key);
    assert.deepEqual(
      [refused.status, refused.body.code, refused.body.runStatus, refused.headers.get('retry-after')],
      [503, 'KEY_UNOPENED', 'waiting', '2'],
      refused.text,
    );
    assert.equal(
      refused.body.detail,
      `the submit cannot be kept here, and nothing of this request is: ${keyOf(run)}, and the run can be cancelled`,
    );
    const bare = await ask('agent', 'POST', `/v1/runs/${run}/transitions/crm.note`);
    assert.deepEqual(
      [bare.status, bare.body.detail],
      [503, refused.body.detail],
      'it has no arguments, and is told of none',
    );
    await turn(run);
    const again = await submit(run, { memo: 'more' }, key);
    assert.deepEqual([again.status, again.headers.get('idempotency-replayed')], [202, null], again.text);
    await cancel(run);
  });

  it('begins a run whose start its worker cannot read once it can, and says so until then', async () => {
    const { kernel } = office.api;
    kernel.idle = true;
    const body = { input: { memo: 'the input' } };
    const begun = await ask('agent', 'POST', '/v1/flows/told/runs?wait=0', body);
    const run = begun.body.run.id as string;
    await turn(run);
    kernel.idle = false;
    const look = async () => (await ask('agent', 'GET', `/v1/runs/${run}`)).body.run;
    await until('it is shown', async () => (await look()).status === 'stuck');
    const { problem } = await look();
    assert.deepEqual(
      [problem.code, problem.message],
      ['KEY_UNOPENED', `a worker cannot read the values of this run: ${keyOf(run)}`],
    );
    const path = `/v1/runs/${run}/transitions/note`;
    const key = { 'idempotency-key': 'once-it-begins' };
    const given = { arguments: { memo: 'a' } };
    const refused = await ask('agent', 'POST', path, given, key);
    assert.deepEqual([refused.status, refused.body.code], [503, 'KEY_UNOPENED'], refused.text);
    assert.ok(refused.body.detail.startsWith(`nothing of this request is kept: ${problem.message}; `));
    await turn(run);
    await until('it has begun', async () => (await look()).status === 'running');
    const asked = await ask('agent', 'POST', path, given, key);
    assert.equal(asked.status, 202, asked.text);
    await cancel(run);
  });

  it('ends a run that was cancelled before it began, whose start nobody can read', async () => {
    const { kernel } = office.api;
    kernel.idle = true;
    const body = { input: { memo: 'the input' } };
    const run = (await ask('agent', 'POST', '/v1/flows/told/runs?wait=0', body)).body.run.id as string;
    await turn(run);
    kernel.idle = false;
    const cancelled = await ask('admin', 'POST', `/v1/runs/${run}/cancel`, { reason: 'no more' });
    assert.deepEqual([cancelled.status, cancelled.body.run?.status], [200, 'failed'], cancelled.text);
    assert.match(cancelled.body.run.problem.message, /^the run was cancelled by `admin` before it began: /);
  });

  it("keeps no run from being cancelled and no flow from being withdrawn where another process has made the service's own key", async () => {
    const { url } = office.api.database;
    const run = await begin('told', { input: { memo: 'the input' } });
    await turn(run);
    // As a process with another key-encryption key leaves it, which has kept something first.
    const hadOwn = (await office.api.database.pool.query(`select 1 from payload_key where run = ''`))
      .rowCount;
    if (hadOwn === 0)
      await asSuperuser(
        url,
        `insert into payload_key (run, wrapped) values ('', decode(repeat('07', 60), 'hex'))`,
      );
    else await turn('');
    const withdrawn = await ask('admin', 'POST', '/v1/flows/unused/withdraw', { reason: 'no more' });
    assert.equal(withdrawn.status, 200, withdrawn.text);
    await cancel(run);
    if (hadOwn !== 0) await turn('');
    const own = await office.api.database.pool.query(
      `select run from payload_key where run like 'service:%'`,
    );
    assert.equal(own.rowCount, 1, 'all of a process is kept under one key');
    // Why it was cancelled hides nothing else of the run, once only that is under a key which does not open.
    const name = (own.rows[0] as { run: string }).run;
    await turn(run);
    await turn(name);
    const { status, body, text } = await ask('auditor', 'GET', `/v1/runs/${run}/reconstruction`);
    await turn(name);
    assert.equal(status, 200, text);
    const cancelled = body.actions.find(({ transition }: any) => transition === 'cancel');
    assert.deepEqual([cancelled.reason, cancelled.missing], [null, ['reason']]);
  });

  it('takes why a run is cancelled or a flow is withdrawn from any number of processes, each with another KEK, and gives each its own', async () => {
    const { pool } = office.api.database;
    const all = [1, 2, 3].map((n) => makePayloads({ kek: Buffer.alloc(32, n) }));
    const refs: PayloadRef[] = [];
    for (const [at, payloads] of [...all, ...all].entries())
      refs.push(await payloads.put(pool, '', 'reason', 'text/plain', `reason ${at % 3}`));
    for (const [at, payloads] of all.entries()) {
      const found = await payloads.getAllReadable(pool, refs);
      const texts = refs.map(({ payload }) => {
        const bytes = found.get(payload);
        return Buffer.isBuffer(bytes) ? bytes.toString('utf8') : null;
      });
      const own = [0, 1, 2].map((n) => (n === at ? `reason ${n}` : null));
      assert.deepEqual(texts, [...own, ...own]);
    }
  });

  it('takes such a reason also where the keys of those before were erased', async () => {
    const { pool } = office.api.database;
    const payloads = makePayloads({ kek: Buffer.alloc(32, 9) });
    const put = (text: string) => payloads.put(pool, '', 'reason', 'text/plain', text);
    for (let time = 0; time < 3; time += 1) {
      const ref = await put(`reason ${time}`);
      assert.equal((await payloads.get(pool, ref))?.toString('utf8'), `reason ${time}`);
      const under = `select run from payload where id = '${ref.payload}'`;
      await asSuperuser(
        office.api.database.url,
        `update payload_key set wrapped = null where run = (${under})`,
      );
      assert.equal(await payloads.get(pool, ref), null);
    }
  });

  it('takes no list of flows, no flow and no version from anybody: why one is withdrawn is told as unreadable, and not as none', async () => {
    const withdrawn = await ask('admin', 'POST', '/v1/flows/shut/withdraw', { reason: 'no more' });
    assert.equal(withdrawn.status, 200, withdrawn.text);
    const read = async () => {
      const answers = await Promise.all(
        ['', '/shut', '/shut/versions/1'].map((path) => ask('agent', 'GET', `/v1/flows${path}`)),
      );
      for (const answer of answers) assert.equal(answer.status, 200, answer.text);
      const [{ data }, flow, version] = answers.map(({ body }) => body);
      return {
        names: data.map(({ name }: any) => name),
        others: data.filter(({ name }: any) => name === 'notes').map((each: any) => each.withdrawn),
        shown: [data.find(({ name }: any) => name === 'shut'), flow, version].map(
          ({ withdrawn: { by, reason, unreadable } }: any) => [by, reason, unreadable],
        ),
      };
    };
    const turnOwn = async () => {
      const { rows } = await office.api.database.pool.query<{ run: string }>(
        `select run from payload_key where run = '' or run like 'service:%'`,
      );
      for (const { run } of rows) await turn(run);
    };
    const open = await read();
    assert.deepEqual(open.shown, Array(3).fill(['admin', 'no more', undefined]));
    await turnOwn();
    told.length = 0;
    assert.deepEqual(await read(), { ...open, shown: Array(3).fill(['admin', null, ['reason']]) });
    assert.match(
      [...new Set(told)].join(),
      /^payloads: a key of the payloads of the service itself does not open here: .+, and nothing else needs it$/,
    );
    await turnOwn();
    assert.deepEqual(await read(), open);
  });

  it('fails no submit, and no look at the run, for what only foresees or offers: here for the input of the run', async () => {
    const run = await begin('told', { input: { memo: 'the input' } });
    await turn(run);
    const asked = await ask('agent', 'POST', `/v1/runs/${run}/transitions/note`, {
      arguments: { memo: 'a' },
    });
    assert.deepEqual(
      [asked.status, asked.body.code, asked.body.links],
      [503, 'KEY_UNOPENED', []],
      asked.text,
    );
    const { status, body } = await ask('agent', 'GET', `/v1/runs/${run}`);
    assert.deepEqual([status, body.run?.status, body.links], [200, 'running', []]);
    await turn(run);
    const again = await ask('agent', 'POST', `/v1/runs/${run}/transitions/note`, {
      arguments: { memo: 'a' },
    });
    assert.equal(again.status, 202, again.text);
    await cancel(run);
  });

  it('is told as unreadable, and not as none: the reason of a decision, a note, and the trace', async () => {
    const parked = await park({}, 'notes', { trace: { prompt: 'note it' } });
    const eve = { id: 'eve', kind: 'human', roles: ['finance.controller'], permissions: [] };
    await ask('admin', 'POST', '/v1/keys', eve);
    const handed = await ask('finance', 'POST', `/v1/approvals/${parked.id}/delegate`, {
      to: 'eve',
      note: 'look',
    });
    assert.equal(handed.status, 200, handed.text);
    assert.equal((await decide(parked, 'deny', { reason: 'too much' })).status, 200);
    const read = async () => {
      const { body } = await ask('finance', 'GET', `/v1/approvals/${parked.id}`);
      const [listed] = (await list('?status=denied')).data.filter(({ id }) => id === parked.id);
      const [made] = body.decisions;
      const decision = (await ask('finance', 'GET', `/v1/decisions/${made.id}`)).body;
      const action = (await ask('agent', 'GET', `/v1/actions/${body.action}`)).body;
      const page = await (
        await fetch(`${office.api.url}/approvals/${parked.id}`, { headers: { cookie } })
      ).text();
      const api = { get: async (path: string) => (await ask('manager', 'GET', path)).body } as unknown as Api;
      const [line] = (await showAction(api, [body.action])).lines;
      return {
        status: action.status,
        line: line?.replace(/^.*?: /, ''),
        asked: [body, listed].map(({ trace, unreadable }) => [trace, unreadable]),
        notes: [body, listed].map(({ delegations: [{ note, unreadable }] }) => [note, unreadable]),
        reasons: [made, listed.decisions[0], decision, action, action.decisions[0]].map(
          ({ reason, unreadable }) => [reason, unreadable],
        ),
        onPage: ['too much', '(cannot be read)'].map((text) => page.includes(`<td>${text}</td>`)),
      };
    };
    const twice = (each: unknown) => [each, each];
    const open = await read();
    assert.deepEqual(open, {
      ...{ status: 'denied', line: 'denied, so it does not run: too much' },
      asked: twice([{ prompt: 'note it' }, undefined]),
      notes: twice(['look', undefined]),
      reasons: Array(5).fill(['too much', undefined]),
      onPage: [true, false],
    });
    await turn(parked.run);
    assert.deepEqual(await read(), {
      ...{ status: 'denied', line: 'denied, so it does not run: (cannot be read)' },
      asked: twice([null, ['preview', 'trace']]),
      notes: twice([null, ['note']]),
      reasons: Array(5).fill([null, ['reason']]),
      onPage: [false, true],
    });
    await turn(parked.run);
    assert.deepEqual(await read(), open);
    const other = await park({});
    assert.equal((await decide(other, 'deny')).status, 200);
    await turn(other.run);
    const [{ reason, unreadable }] = (await ask('finance', 'GET', `/v1/approvals/${other.id}`)).body
      .decisions;
    assert.deepEqual([reason, unreadable], [null, undefined], 'no reason was given');
  });

  it('is told as unreadable, and not as null, where the output of an action was erased', async () => {
    const parked = await park();
    assert.equal((await decide(parked, 'approve')).status, 200);
    await office.api.kernel.settled();
    const { action } = (await ask('finance', 'GET', `/v1/approvals/${parked.id}`)).body;
    await erase(parked.run);
    const { status, output, unreadable } = (await ask('agent', 'GET', `/v1/actions/${action}`)).body;
    assert.deepEqual([status, output, unreadable], ['executed', null, ['output']]);
  });

  it('is a value that an answer needs: 503, which says what to do, and the answer when the key opens again', async () => {
    const parked = await park();
    assert.equal((await decide(parked, 'approve')).status, 200);
    await office.api.kernel.settled();
    const path = `/v1/actions/${(await ask('finance', 'GET', `/v1/approvals/${parked.id}`)).body.action}`;
    const executed = await ask('agent', 'GET', path);
    assert.deepEqual(
      [executed.body.status, executed.body.output],
      ['executed', { noted: true }],
      executed.text,
    );
    await turn(parked.run);
    const unopened = await ask('agent', 'GET', path);
    assert.deepEqual(
      [unopened.status, unopened.body.code, unopened.body.detail, unopened.headers.get('retry-after')],
      [503, 'KEY_UNOPENED', `${keyOf(parked.run)}; ask again once it opens`, '2'],
    );
    await turn(parked.run);
    assert.equal((await ask('agent', 'GET', path)).body.status, 'executed');
  });
});
