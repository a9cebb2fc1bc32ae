import assert from 'node:assert/strict';
import { readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { newId } from '../../../src/model/names/ids.js';
import { startApi, type Answer, type Harness } from '../harness.js';

// A reload tells what it takes away. What restrains people is only taken away if somebody confirms it by name.

let api: Harness;
before(async () => {
  api = await startApi();
  writeFileSync(file('environments.yaml'), strict);
  // These exist, too, unless a file says otherwise.
  const first = await reload({ confirm: ['staging', 'prod'] });
  assert.equal(first.status, 200, first.text);
});
after(() => api.stop());

const file = (name: string): string => join(api.home, 'policies', name);
const reload = (body?: unknown): Promise<Answer> => api.ask('admin', 'POST', '/v1/policies/reload', body);
const restart = () => api.deps.policies.start({ kind: 'runtime', id: 'countersign' }, newId('trc'));
const floor = '{ tiers: [irreversible], roles: [finance.controller], timeout: { after: 1d } }';
const strict = `environments: { dev: , live: { requireTiers: true, gates: [${floor}] } }\n`;
const floors = async (): Promise<unknown> =>
  (await api.deps.policies.policySet())?.environments.map((environment) => [
    environment.name,
    environment.floors?.length ?? 0,
  ]);

describe('POST /v1/policies/reload', () => {
  it('refuses a file that was cut off, and keeps what was there', async () => {
    for (const text of ['', '# all gone\n', '\n\n', '{}']) {
      writeFileSync(file('environments.yaml'), text);
      const refused = await reload();
      assert.deepEqual([refused.status, refused.body.code], [422, 'POLICY_INVALID']);
      assert.equal(refused.body.errors[0].code, 'EMPTY_FILE');
    }
    assert.deepEqual(await floors(), [
      ['dev', 0],
      ['live', 1],
    ]);
  });

  it('takes away an environment, a floor or a rule only when its name is confirmed, and records what it took', async () => {
    const weakened = strict.replace(floor, floor.replace('1d', '9d'));
    const ways: Readonly<Record<string, readonly string[]>> = {
      [weakened]: ['live: irreversible by finance.controller'],
      [strict.replace(`, gates: [${floor}]`, '')]: ['live: irreversible by finance.controller'],
      [strict.replace('requireTiers: true, ', '')]: ['live: requireTiers'],
      'environments: { dev: }\n': ['live', 'live: irreversible by finance.controller'],
    };
    for (const [text, names] of Object.entries(ways)) {
      writeFileSync(file('environments.yaml'), text);
      for (const confirm of [undefined, { confirm: ['dev', ...names.slice(1)] }]) {
        const refused = await reload(confirm);
        assert.deepEqual([refused.status, refused.body.code], [409, 'CONFIRM_REQUIRED'], text);
        assert.deepEqual(
          refused.body.removed.map((item: { name: string }) => item.name),
          names,
        );
        for (const name of names) assert.ok(refused.body.detail.includes(name), refused.body.detail);
      }
      assert.deepEqual(await floors(), [
        ['dev', 0],
        ['live', 1],
      ]);
      const taken = await reload({ confirm: names });
      assert.equal(taken.status, 200, taken.text);
      assert.deepEqual(
        taken.body.removed.map((item: { name: string }) => item.name),
        names,
      );
      const { body } = await api.ask('auditor', 'GET', '/v1/audit?type=policy.reloaded&limit=500');
      const last = body.data.at(-1).data.removed as string[];
      assert.deepEqual(
        last.map((line) => line.slice(line.indexOf(' ') + 1)),
        names,
      );
      writeFileSync(file('environments.yaml'), strict);
      await restart();
    }
  });

  it('gives gates more time than they had only when its name is confirmed: not by a file that was cut off, nor by a longer time', async () => {
    const lines = ['environments:', '  dev:', '    gates: [{ roles: [finance.controller] }]', ''];
    const short = [...lines.slice(0, -1), '    gateTimeout: 1h', ''];
    const put = (all: readonly string[]) => writeFileSync(file('environments.yaml'), all.join('\n'));
    const hours = async () =>
      (await api.deps.policies.policySet())?.environments.map(
        (environment) => environment.gateTimeoutMs / 3_600_000,
      );
    put(short);
    assert.equal((await restart()).status, 'loaded');
    const removed = [{ kind: 'rule', name: 'dev: gateTimeout', confirm: true }];
    for (const longer of [lines, short.map((line) => line.replace('1h', '300d'))]) {
      put(longer);
      const refused = await reload();
      assert.deepEqual([refused.status, refused.body.code], [409, 'CONFIRM_REQUIRED'], refused.text);
      assert.deepEqual(refused.body.removed, removed);
      assert.deepEqual(await hours(), [1]);
    }
    put(lines);
    const started = await restart();
    assert.ok(started.status === 'loaded');
    assert.deepEqual(started.removed, removed);
    const { body } = await api.ask('auditor', 'GET', '/v1/audit?type=policy.reloaded&limit=500');
    assert.deepEqual(body.data.at(-1).data.removed, ['rule dev: gateTimeout']);
    put(short);
    assert.deepEqual((await reload()).body.removed, [], 'they deny earlier');
    put(lines);
    assert.deepEqual((await reload({ confirm: ['dev: gateTimeout'] })).body.removed, removed);
    assert.deepEqual(await hours(), [72]);
    writeFileSync(file('environments.yaml'), strict);
    await restart();
  });

  it('takes nobody who decides a floor away, and adds none, unless its name is confirmed', async () => {
    const roles = readFileSync(file('roles.yaml'), 'utf8');
    const queue = (of: string) =>
      writeFileSync(file('roles.yaml'), `${roles}\nqueues: { money: { roles: [${of}] } }\n`);
    writeFileSync(
      file('environments.yaml'),
      'environments: { dev: , live: { gates: [{ queue: money }] } }\n',
    );
    queue('cfo');
    assert.equal((await restart()).status, 'loaded');
    const name = 'live: reversible, irreversible, none by money';
    for (const of of ['cfo, clerk', 'clerk', '']) {
      queue(of);
      const refused = await reload();
      if (of === '' && refused.status === 422) continue;
      assert.deepEqual([refused.status, refused.body.code], [409, 'CONFIRM_REQUIRED'], refused.text);
      assert.deepEqual(refused.body.removed, [{ kind: 'floor', name, confirm: true }]);
    }
    queue('cfo, cfo');
    assert.deepEqual((await reload()).body.removed, []);
    writeFileSync(file('roles.yaml'), roles);
    const gone = await reload({ confirm: [name] });
    assert.deepEqual([gone.status, gone.body.code], [422, 'POLICY_INVALID'], gone.text);
    assert.equal(gone.body.errors[0].code, 'UNDECLARED_QUEUE');
    writeFileSync(file('environments.yaml'), strict);
    assert.equal((await restart()).status, 'loaded');
  });

  it('widens who decides a floor only when its name is confirmed: by a role, by its permission, by its hours', async () => {
    const roles = readFileSync(file('roles.yaml'), 'utf8');
    const declare = (text: string) => writeFileSync(file('roles.yaml'), text);
    const gated = (gate: string) =>
      writeFileSync(file('environments.yaml'), `environments: { dev: , live: { gates: [${gate}] } }\n`);
    const decides =
      'roles: { cfo: { permissions: [approval.decide] }, clerk: { permissions: [run.read] } }\n';
    declare(decides);
    gated('{ tiers: [irreversible] }');
    assert.equal((await restart()).status, 'loaded');
    const name = 'live: irreversible by approval.decide';
    for (const text of [
      decides.replace('[run.read]', '[run.read, approval.decide]'),
      decides.replace('clerk: { permissions: [run.read] }', 'intern: { permissions: [approval.decide] }'),
      decides.replace('[approval.decide]', '[]'),
    ]) {
      declare(text);
      const refused = await reload();
      assert.deepEqual([refused.status, refused.body.code], [409, 'CONFIRM_REQUIRED'], text);
      const floors = refused.body.removed.filter((item: { kind: string }) => item.kind === 'floor');
      assert.deepEqual(floors, [{ kind: 'floor', name, confirm: true }]);
    }
    declare(decides.replace('[run.read]', '[run.read, run.start]'));
    assert.deepEqual((await reload()).body.removed, [], 'what does not decide does not matter');

    const hours = (to: string) =>
      declare(`roles: { cfo: { hours: { zone: UTC, days: [mon], from: "09:00", to: "${to}" } } }\n`);
    hours('10:00');
    gated('{ tiers: [reversible], roles: [cfo], timeout: { after: 8h, hours: business, action: approve } }');
    const set = await restart();
    assert.equal(set.status, 'loaded', JSON.stringify(set));
    hours('23:00');
    const refused = await reload();
    assert.equal(refused.body.code, 'CONFIRM_REQUIRED', refused.text);
    assert.deepEqual(
      refused.body.removed.map((item: { name: string }) => item.name),
      ['live: reversible by cfo'],
    );
    declare(roles);
    writeFileSync(file('environments.yaml'), strict);
    assert.equal((await restart()).status, 'loaded');
  });

  it('takes with a confirmed name that one floor, and no other by the same people', async () => {
    const all = [
      'roles: [cfo]',
      'roles: [cfo], quorum: { count: 3 }, reason: required',
      'roles: [cfo], timeout: { after: 2d }',
    ];
    const live = (...which: readonly string[]) =>
      writeFileSync(
        file('environments.yaml'),
        `environments: { dev: , live: { gates: [${which.map((gate) => `{ tiers: [irreversible], ${gate} }`).join(', ')}] } }\n`,
      );
    live(...all);
    assert.equal((await restart()).status, 'loaded');
    writeFileSync(file('environments.yaml'), 'environments: { dev: , live: }\n');
    const { body } = await reload({ confirm: ['live: irreversible by cfo'] });
    assert.equal(body.code, 'CONFIRM_REQUIRED');
    assert.deepEqual(
      body.removed.map((item: { name: string }) => item.name),
      [
        'live: irreversible by cfo',
        'live: irreversible by cfo, quorum 3, reason required',
        'live: irreversible by cfo (2)',
      ],
    );
    writeFileSync(file('environments.yaml'), strict);
    assert.equal((await restart()).status, 'loaded');
  });

  it('takes a name away that is as long as it is, and as many as there are', async () => {
    const roles = Array.from({ length: 8 }, (_, index) => `finance.controller.of.the.region.${index}`);
    const declared = readFileSync(file('roles.yaml'), 'utf8');
    writeFileSync(
      file('roles.yaml'),
      `roles: { finance.controller: , ${roles.map((role) => `${role}: `).join(', ')} }\n`,
    );
    const many = Array.from({ length: 250 }, (_, index) => `e${index}: `).join(', ');
    writeFileSync(
      file('environments.yaml'),
      `environments: { dev: , ${many}, live: { gates: [{ roles: [${roles.join(', ')}] }] } }\n`,
    );
    assert.equal((await restart()).status, 'loaded');
    writeFileSync(file('environments.yaml'), 'environments: { dev: , live: }\n');
    const { body } = await reload();
    const names = body.removed.map((item: { name: string }) => item.name) as string[];
    assert.ok(names.length > 250 && names.some((name) => name.length > 250), String(names.length));
    assert.equal((await reload({ confirm: names })).status, 200);
    writeFileSync(file('roles.yaml'), declared);
    writeFileSync(file('environments.yaml'), strict);
    assert.equal((await restart()).status, 'loaded');
  });

  it('takes no confirmation from anything but a human, and reloads for it what takes nothing away', async () => {
    for (const kind of ['agent', 'system']) {
      const given = { id: `reloader-${kind}`, kind, roles: [], permissions: ['policy.reload'] };
      const { key } = (await api.ask('admin', 'POST', '/v1/keys', given)).body;
      const ask = (body: object) => api.ask(key, 'POST', '/v1/policies/reload', body);
      writeFileSync(file('environments.yaml'), strict.replace(`, gates: [${floor}]`, ''));
      assert.equal((await ask({})).body.code, 'CONFIRM_REQUIRED');
      const refused = await ask({ confirm: ['live: irreversible by finance.controller'] });
      assert.deepEqual([refused.status, refused.body.code], [403, 'HUMANS_ONLY'], refused.text);
      assert.deepEqual(await floors(), [
        ['dev', 0],
        ['live', 1],
      ]);
      writeFileSync(file('environments.yaml'), strict);
      assert.equal((await ask({})).status, 200);
      assert.equal((await ask({ confirm: [] })).status, 200);
    }
  });

  it('without its file, the environments are the usual ones, and the others need their names', async () => {
    rmSync(file('environments.yaml'));
    const refused = await reload();
    assert.equal(refused.body.code, 'CONFIRM_REQUIRED', refused.text);
    writeFileSync(file('environments.yaml'), strict);
  });

  it('tells of tools, flows and roles that are gone, and asks for no name', async () => {
    const roles = readFileSync(file('roles.yaml'), 'utf8');
    const form = readFileSync(file('flows/form.yaml'), 'utf8');
    writeFileSync(file('roles.yaml'), 'roles: { other: }\n');
    rmSync(file('flows/form.yaml'));
    const { status, body } = await reload();
    assert.equal(status, 200);
    assert.deepEqual(body.removed, [
      { kind: 'flow', name: 'form', confirm: false },
      { kind: 'role', name: 'finance.controller', confirm: false },
    ]);
    writeFileSync(file('roles.yaml'), roles);
    writeFileSync(file('flows/form.yaml'), form);
    assert.deepEqual((await reload()).body.removed, [{ kind: 'role', name: 'other', confirm: false }]);
  });

  it('takes no other body', async () => {
    for (const body of [{ confirm: 'live' }, { confirm: [1] }, { force: true }, []])
      assert.equal((await reload(body)).status, 422, JSON.stringify(body));
  });

  it('a start takes away what is gone, records it, and says it', async () => {
    writeFileSync(file('environments.yaml'), 'environments: { dev: }\n');
    const started = await restart();
    assert.ok(started.status === 'loaded');
    assert.deepEqual(
      started.removed.map(({ kind, name }) => [kind, name]),
      [
        ['environment', 'live'],
        ['floor', 'live: irreversible by finance.controller'],
      ],
    );
    const { body } = await api.ask('auditor', 'GET', '/v1/audit?type=policy.reloaded&limit=500');
    assert.deepEqual(body.data.at(-1).data.removed, [
      'environment live',
      'floor live: irreversible by finance.controller',
    ]);
  });
});
