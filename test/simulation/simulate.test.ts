import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { countersign, makeFolder, type Folder } from './world.js';

const payment = 'vendor-invoice-reconciliation';
const ann = 'human:ann,roles=finance.controller,permissions=run.start';

async function walked(...argv: string[]) {
  const ran = await countersign(['simulate', ...argv, '--json']);
  assert.equal(ran.code, 0, ran.out + ran.err);
  return JSON.parse(ran.out).stops;
}

const optionsOf = (stop: any, name: string): Record<string, any> =>
  Object.fromEntries(
    stop.principals
      .find((item: any) => item.name === name)
      .options.map((item: any) => [item.transition, item]),
  );

describe('npx countersign simulate', () => {
  it('shows for each principal what it could do, what would wait, for whom, and who of them could approve', async () => {
    const [start] = await walked(payment, '--as', 'agent:bot', '--as', ann, '--as', 'system:timer');
    const bot = optionsOf(start, 'bot');
    assert.deepEqual(Object.keys(bot), ['erp.invoices', 'erp.vendors', 'erp.payment.draft', 'complete']);
    assert.deepEqual(bot['erp.invoices'].could, { status: 'yes' });
    assert.equal(bot['erp.invoices'].gate, null);
    assert.deepEqual(bot['erp.payment.draft'].could, { status: 'depends', on: 'its arguments' });
    const when = { when: 'amount > 50000', roles: ['finance.controller'] };
    assert.deepEqual(bot['erp.payment.draft'].gate, { ...when, approvers: ['ann'] });
    assert.deepEqual(optionsOf(start, 'ann')['erp.payment.draft'].gate, { ...when, approvers: [] });
    assert.equal(optionsOf(start, 'timer')['erp.payment.draft'].could.code, 'ACTOR_MISMATCH');
    assert.equal(optionsOf(start, 'timer')['complete'].could.code, 'ACTOR_MISMATCH');
  });

  it('walks the steps that it is given; executors answer what they are said to', async () => {
    const stops = await walked(
      ...[payment, '--as', 'agent:bot', '--as', ann],
      ...['--do', 'erp.payment.draft as bot with {vendor: ACME, amount: 60000}'],
      ...['--do', 'approve by bot', '--do', 'approve by ann', '--do', 'answered {id: PAY-1}'],
    );
    const [, parked, refused, approved, drafted] = stops;
    assert.equal(parked.answer.status, 'pending');
    assert.deepEqual(parked.approvals[0].deciders, [
      { principal: 'bot', may: false, why: 'not_human' },
      { principal: 'ann', may: true, why: null },
    ]);
    assert.deepEqual([refused.answer.code, refused.run.version], ['NOT_AN_APPROVER', 0]);
    assert.deepEqual(approved.executing.sends, { vendor: 'ACME', amount: 60000 });
    assert.equal(approved.executing.call, 'POST /payments/draft');
    assert.match(approved.executing.idempotencyKey, /:erp\.payment\.draft:[0-9a-f]{64}:0$/);
    assert.deepEqual([drafted.run.status, drafted.run.version, drafted.executing], ['running', 1, null]);
  });

  it('names the guard that refuses, in words and for machines', async () => {
    const argv = [
      ...['expense_approval', '--input', '{"employee":"ann","amount":1,"category":"x"}'],
      ...['--as', 'employee', '--as', 'manager', '--as', 'overlord'],
      ...[
        '--do',
        'answered {policyOk: true, requiresFinance: true}',
        '--do',
        'submit: to_manager, as: employee',
      ],
    ];
    const review = (await walked(...argv)).at(-1);
    const approve = (name: string) => optionsOf(review, name)['approve'].could;
    assert.deepEqual([approve('employee').guard.index, approve('employee').guard.kind], [0, 'permission']);
    assert.deepEqual([approve('manager').guard.index, approve('manager').guard.kind], [1, 'expr']);
    assert.equal(approve('overlord').code, 'ACTOR_MISMATCH');
    assert.deepEqual(optionsOf(review, 'manager')['approve_to_finance'].could, { status: 'yes' });
    const { out } = await countersign(['simulate', ...argv]);
    assert.match(out, /would run onEnter:submitted: mcp classifier, classify_expense/);
    assert.match(out, /manager \(human\)\n +approve +no: GUARD_REJECTED: guard 1 \(expr\)/);
    assert.match(out, /approve_to_finance +can\n/);
  });

  it('offers no link where the flow hides it, and says so', async () => {
    const input = ['--input', '{"employee":"ann","amount":1,"category":"x"}'];
    const answered = ['--do', 'answered {policyOk: false, requiresFinance: true}'];
    const stop = (await walked('expense_approval', ...input, '--as', 'agent:bot', ...answered)).at(-1);
    assert.equal(optionsOf(stop, 'bot')['to_manager'].listed, false);
    assert.equal(optionsOf(stop, 'bot')['policy_reject'].listed, true);
  });

  it('stops at a step that cannot be read or done, with exit code 2 and what to do', async () => {
    const wrong: readonly (readonly [string, RegExp])[] = [
      ['erp.payment.draft as bto', /unknown principal `bto`: did you mean `bot`\?/],
      [
        'erp.payment.drft as bot',
        /unknown transition `erp\.payment\.drft`: did you mean `erp\.payment\.draft`\?/,
      ],
      ['answered {}', /nothing is executing/],
      ['approve by bot', /no approval was opened/],
      ['failed somehow', /is not one of `timeout`/],
      ['submit: complete, as: bot, expect: executed', /`expect` belongs into a case file/],
      ['submit: complete, az: bot', /unknown key `az`/],
      ['complete', /expected a mapping|a step does one thing|unknown key/],
    ];
    for (const [step, said] of wrong) {
      const ran = await countersign(['simulate', payment, '--as', 'agent:bot', '--do', step]);
      assert.equal(ran.code, 2, step);
      assert.match(ran.out, said, step);
    }
  });

  it('is asked rightly, or says how', async () => {
    const wrong: readonly (readonly [readonly string[], RegExp])[] = [
      [['nope'], /unknown flow `nope`: there are/],
      [['expense_aproval'], /did you mean `expense_approval`\?/],
      [[payment, '--as', 'robot:x'], /names no kind of principal/],
      [[payment, '--as', 'human:x,rolls=a'], /`rolls` is nothing that a principal has/],
      [[payment, '--as', 'human:x,a'], /belongs to no list/],
      [[payment, '--as', 'nobody'], /unknown principal `nobody`/],
      [[payment, '--as', 'agent:a', '--as', 'human:a'], /names `a` twice/],
      [[payment, '--as', '@nowhere.yaml'], /no file `nowhere.yaml`/],
      [[payment, '--input', '{'], /--input: not JSON: /],
      [[payment, '--input', '[]'], /must be a JSON object/],
    ];
    for (const [argv, said] of wrong) {
      const ran = await countersign(['simulate', ...argv]);
      assert.equal(ran.code, 2, argv.join(' '));
      assert.match(ran.err, said);
    }
    const refused = await countersign(['simulate', 'expense_approval']);
    assert.equal(refused.code, 2);
    assert.match(refused.out, /`expense_approval` does not take this input: `input.employee` is required/);
    assert.equal((await countersign(['simulate', payment, '--do', 'complete as agent'])).code, 0);
  });
});

describe('a call that can never be made', () => {
  let folder: Folder;
  before(() => {
    folder = makeFolder();
    folder.write('roles.yaml', 'roles: { boss: { permissions: [] } }\n');
    folder.write(
      'connections.yaml',
      'connections: { files: { kind: rest, baseUrl: "https://a.example" } }\n',
    );
    const call = (path: string) =>
      `executor: { kind: rest, connection: files, method: POST, path: "${path}", query: { tag: "$.arguments.tag?" } }`;
    const schema =
      'inputSchema: { type: object, additionalProperties: false, properties: { tag: {}, id: {} } }';
    const gate = 'gate: { roles: [boss], timeout: { after: 1h } }';
    folder.write(
      'flows/desk.yaml',
      `workflows:
  desk:
    owner: team
    initialState: open
    states:
      open:
        transitions:
          asked: { target: open, tier: reversible, ${schema}, ${gate}, ${call('/f/{$.arguments.id}')} }
          plain: { target: open, tier: reversible, ${schema}, ${call('/f/{$.arguments.id}')} }
          never: { target: open, tier: reversible, ${gate}, ${call('/f/{$.context.id}').replace(/, query.*/, ' }')} }
          close: { target: closed }
      closed: { terminal: true }
`,
    );
  });
  after(() => folder.remove());

  it('is refused on paper as it is in the service, and an outlook says so', async () => {
    const asked = (args: string) => ['--do', `asked as bot with ${args}`];
    const argv = ['simulate', 'desk', '--as', 'agent:bot', '--json'];
    const ran = await countersign(
      [...argv, ...asked('{id: a, tag: []}'), ...asked('{id: ".."}'), ...asked('{id: a}')],
      folder.root,
    );
    assert.equal(ran.code, 0, ran.out + ran.err);
    const [start, list, dots, waits] = JSON.parse(ran.out).stops;
    const could = optionsOf(start, 'bot');
    assert.deepEqual([could['never'].could.status, could['never'].could.code], ['no', 'INPUT_INVALID']);
    assert.match(could['never'].could.message, /`\$\.context\.id` in the path does not resolve/);
    assert.equal(could['asked'].could.status, 'depends');
    for (const { answer, approvals } of [list, dots])
      assert.deepEqual([answer.status, answer.code, approvals], ['refused', 'INPUT_INVALID', []]);
    assert.match(list.answer.message, /query parameter `tag` is an empty list/);
    assert.match(dots.answer.message, /would have the segment/);
    assert.equal(waits.answer.status, 'pending');
  });

  it('is shown as one that would fail where nobody is asked', async () => {
    const argv = ['simulate', 'desk', '--as', 'agent:bot', '--do', 'plain as bot with {id: a, tag: {b: 1}}'];
    const { out } = await countersign(argv, folder.root);
    assert.match(
      out,
      /but the call would fail: `\$\.arguments\.tag\?` in query parameter `tag` is an object/,
    );
  });
});

describe('who walks', () => {
  let folder: Folder;
  before(() => void (folder = makeFolder({ shipped: true })));
  after(() => folder.remove());

  const names = async (...as: string[]) => {
    const argv = as.flatMap((name) => ['--as', name]);
    const ran = await countersign(['simulate', payment, ...argv, '--json'], folder.root);
    assert.equal(ran.code, 0, ran.err);
    return JSON.parse(ran.out).stops[0].principals.map((item: any) => `${item.kind} ${item.name}`);
  };

  it('comes from the line, a file, a case file, or the flow’s own cases by name', async () => {
    const file = folder.write(
      '../who.yaml',
      'mia: { kind: human, roles: [finance.controller] }\nbot: { kind: agent }\n',
    );
    assert.deepEqual(await names(`@${file}`), ['human mia', 'agent bot']);
    assert.deepEqual(await names('controller', 'agent:x'), ['human controller', 'agent x']);
    const cases = `${folder.root}/tests/${payment}.test.yaml`;
    assert.ok((await names(`@${cases}`)).includes('agent robot-controller'));
    assert.deepEqual(await names(), ['human human', 'agent agent', 'system system']);
  });

  it('has the permissions of its roles, as roles.yaml says', async () => {
    folder.write('roles.yaml', 'roles: { finance.controller: { permissions: [run.operate] } }\n');
    const argv = [
      'simulate',
      payment,
      '--as',
      'human:ann,roles=finance.controller',
      '--do',
      'cancel by ann',
      '--json',
    ];
    const { stops } = JSON.parse((await countersign(argv, folder.root)).out);
    assert.equal(stops[1].run.status, 'cancelled');
  });

  it('takes input from a file', async () => {
    const file = folder.write('../input.json', '{"employee":"ann","amount":1,"category":"x"}');
    const ran = await countersign(['simulate', 'expense_approval', '--input', `@${file}`], folder.root);
    assert.equal(ran.code, 0, ran.out + ran.err);
    assert.match(ran.out, /"employee":"ann"/);
  });
});
