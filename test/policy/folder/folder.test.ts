import assert from 'node:assert/strict';
import { mkdtemp, rm, symlink } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { after, describe, test } from 'node:test';
import {
  checkFlowText,
  loadFolder,
  type FolderResult,
  type LoadedFolder,
  type Problem,
} from '../../../src/policy/index.js';
import { withStates, withTransition } from '../documents.js';
import { writeFiles } from '../../../testing/files.js';
import { loadFiles } from '../load.js';

// docs/spec/policies.md: the layout of a folder, and that everything in it is right or nothing of it is used.

const made: string[] = [];
after(async () => {
  await Promise.all(made.map((path) => rm(path, { recursive: true, force: true })));
});

async function folderOf(files: Readonly<Record<string, string | Buffer>>): Promise<string> {
  const parent = await mkdtemp(join(tmpdir(), 'countersign-policies-'));
  made.push(parent);
  const root = join(parent, 'policies');
  writeFiles(root, files);
  return root;
}

async function loadValid(files: Readonly<Record<string, string>>): Promise<LoadedFolder> {
  const result = await loadFiles(files);
  assert.equal(result.status, 'loaded', JSON.stringify(result));
  return result as LoadedFolder;
}

async function loadInvalid(files: Readonly<Record<string, string | Buffer>>): Promise<readonly Problem[]> {
  const result = await loadFiles(files);
  assert.equal(result.status, 'invalid', JSON.stringify(result));
  const errors = result.status === 'invalid' ? result.errors : [];
  assert.ok(errors.length > 0);
  for (const finding of errors)
    assert.ok(finding.line >= 1 && finding.column >= 1 && finding.file !== undefined);
  return errors;
}

const summariesOf = (problems: readonly Problem[]): readonly string[] =>
  problems.map(
    (problem) => `${problem.file ?? ''}:${problem.line}:${problem.column} ${problem.code} ${problem.path}`,
  );

const simple = withTransition('title: go');
const rest = (url: string): string => `{ kind: rest, baseUrl: '${url}' }`;
const draft = `tools:
  - name: draft
    tier: reversible
    inputSchema: { type: object, properties: { amount: { type: number } } }
    executor: { kind: rest, connection: erp, method: POST, path: /draft, idempotencyKey: true }
`;
const erp = `connections: { erp: ${rest('https://erp.example')} }\n`;

describe('the layout', () => {
  test('every place of it is read', async () => {
    const { policySet, flows, catalog } = await loadValid({
      'connections.yaml': erp,
      'environments.yaml': 'environments: { dev: { gateTimeout: 1h }, live: { requireTiers: true } }',
      'roles.yaml': 'roles: { clerk: { permissions: [a.b] }, chief: }\nqueues: { money: { roles: [chief] } }',
      'tools/erp.yaml': draft,
      'tools/more.json': '{"tools":[{"name":"more","tier":"read_only","executor":{"kind":"noop"}}]}',
      'flows/f.yaml': simple,
      'flows/bot.json': '{"name":"bot","owner":"t","environment":"live","permissions":{"execute":["draft"]}}',
      'tests/f.test.yaml': 'cases: []',
      'notifications.yaml': 'routes: []',
    });
    assert.deepEqual(flows.map((flow) => [flow.name, flow.environment]).sort(), [
      ['bot', 'live'],
      ['f', 'dev'],
    ]);
    assert.deepEqual(
      catalog.tools.map((tool) => tool.name),
      ['draft', 'more'],
    );
    assert.deepEqual(policySet.environments, [
      { name: 'dev', requireTiers: false, refuseWarnings: false, gateTimeoutMs: 3_600_000 },
      { name: 'live', requireTiers: true, refuseWarnings: false, gateTimeoutMs: 259_200_000 },
    ]);
    assert.deepEqual(policySet.roles, [
      { name: 'clerk', permissions: ['a.b'] },
      { name: 'chief', permissions: [] },
    ]);
    assert.deepEqual(policySet.queues, [{ name: 'money', roles: ['chief'] }]);
  });

  test('one file may hold everything', async () => {
    const { flows, catalog, policySet } = await loadValid({
      'flows/all.yaml': `version: 1\n${erp}${draft}${simple}`,
    });
    assert.deepEqual([flows.length, catalog.tools.length, policySet.connections.length], [1, 1, 1]);
  });

  test('without environments.yaml there are dev, staging and prod', async () => {
    const { policySet } = await loadValid({ 'roles.yaml': 'roles: { clerk: }' });
    assert.deepEqual(
      policySet.environments.map((environment) => environment.name),
      ['dev', 'staging', 'prod'],
    );
  });

  test('a folder with roles alone loads, and an empty folder; a file that declares nothing does not', async () => {
    assert.equal(
      (await loadFiles({ 'roles.yaml': 'version: 1\nroles: { clerk: { permissions: [] } }' })).status,
      'loaded',
    );
    assert.equal((await loadFiles({})).status, 'loaded');
    const places = [
      'environments.yaml',
      'roles.yaml',
      'connections.yaml',
      'notifications.yaml',
      'flows/f.yaml',
    ];
    for (const file of [...places, 'tools/t.yaml', 'tests/f.test.yaml'])
      for (const text of ['', '\n', '# cut off\n', '---\n', '~', 'version: 1', '{}']) {
        const result = await loadFiles({ [file]: text });
        assert.ok(result.status === 'invalid', `${file}: ${text}`);
        // Keys that cases and routes require are missing there.
        const codes = /^(tests|notif)/.test(file) ? ['EMPTY_FILE', 'REQUIRED'] : ['EMPTY_FILE'];
        assert.ok(
          result.errors.every((finding) => codes.includes(finding.code) && finding.file === file),
          JSON.stringify(result.errors),
        );
      }
    assert.equal((await loadFiles({ 'tools/t.yaml': 'tools: []' })).status, 'loaded');
  });

  test('cut off after its name, or that holds null, is reported', async () => {
    for (const [text, stands] of [
      ['environments:', 'nothing'],
      ['environments: null', '`null`'],
      ['environments: ~', '`~`'],
    ] as const) {
      const result = await loadFiles({ 'environments.yaml': text });
      assert.ok(result.status === 'invalid', text);
      const messages = result.errors.map(({ message }) => message);
      assert.deepEqual(messages, [`expected a mapping, not ${stands}`]);
    }
  });

  test('files of other kinds, and hidden files, are not policies', async () => {
    const { flows } = await loadValid({
      'README.md': '# hi',
      'flows/f.yaml': simple,
      '.git/config.yaml': 'x: [',
      'flows/f.yaml~': '[',
      'flows/f.yaml.orig': '[',
      'roles.md': '# who has which',
      'scripts/deploy.txt': 'hi',
    });
    assert.equal(flows.length, 1);
  });

  test('a file that is meant as policy, under a name that nothing reads, is never passed over', async () => {
    const floor = 'environments: { dev: { gates: [{ roles: [a.b], timeout: { after: 1h } }] } }';
    for (const file of [
      ...['environments.yaml.txt', 'environments.yml.txt', 'environments.json.txt', 'environments.jsonc'],
      ...['environments.json5', 'Environments.YAML.TXT', 'environments.txt', 'environments', 'roles.toml'],
      ...['connections.jsonc', 'notifications.yaml.txt', 'tools/erp.yaml.txt', 'tools/erp.json5'],
      ...['flows/pay.jsonc', 'flows/pay.yml.txt', 'tests/pay.test.yaml.txt', 'flows/more/pay.jsonc'],
      ...['environments.yaml.', 'environments.yaml '],
    ]) {
      const loaded = await loadFiles({ 'flows/f.yaml': simple, [file]: floor });
      const told = loaded.status === 'invalid' ? loaded.errors : [];
      assert.deepEqual(
        told.map((finding) => [finding.code, finding.file]),
        [['UNKNOWN_PLACE', file]],
        file,
      );
    }
  });

  test('what relative paths start from is the folder above', async () => {
    const root = await folderOf({});
    const result = await loadFolder(root);
    assert.ok(result.status === 'loaded');
    assert.equal(result.policySet.baseDirectory, dirname(root));
  });

  test('links are followed, as a mounted ConfigMap has them', async () => {
    const root = await folderOf({ '..data/flows/f.yaml': simple });
    await symlink(join('..data', 'flows'), join(root, 'flows'));
    const linked = await loadFolder(root);
    assert.ok(linked.status === 'loaded', JSON.stringify(linked));
    assert.deepEqual(
      linked.flows.map((flow) => flow.name),
      ['f'],
    );
  });
});

describe('refused', () => {
  const rows: readonly (readonly [
    title: string,
    files: Readonly<Record<string, string | Buffer>>,
    told: string,
  ])[] = [
    ['a YAML file in an unknown place', { 'flow/f.yaml': simple }, 'flow/f.yaml:1:1 UNKNOWN_PLACE '],
    ['a file at the top that is none of those', { 'all.yaml': simple }, 'all.yaml:1:1 UNKNOWN_PLACE '],
    ['a folder in a folder', { 'flows/more/f.yaml': simple }, 'flows/more/f.yaml:1:1 UNKNOWN_PLACE '],
    ['a test that is not named so', { 'tests/f.yaml': 'x: 1' }, 'tests/f.yaml:1:1 UNKNOWN_PLACE '],
    ['a flow whose ending is in capitals', { 'flows/f.YAML': simple }, 'flows/f.YAML:1:1 UNKNOWN_PLACE '],
    [
      'an unknown key at the top',
      { 'connections.yaml': 'conections: {}' },
      'connections.yaml:1:1 UNKNOWN_KEY /conections',
    ],
    ['another format version', { 'roles.yaml': 'version: 2' }, 'roles.yaml:1:10 UNKNOWN_VALUE /version'],
    ['text that is no YAML', { 'flows/f.yaml': 'a: [1' }, 'flows/f.yaml:1:6 MALFORMED '],
    [
      'text that is no UTF-8',
      { 'flows/f.yaml': Buffer.from([0x61, 0x3a, 0x20, 0xff, 0xfe]) },
      'flows/f.yaml:1:1 UNREADABLE ',
    ],
    [
      'one flow in two files',
      { 'flows/a.yaml': simple, 'flows/b.yaml': simple },
      'flows/b.yaml:2:3 DUPLICATE_NAME /workflows/f',
    ],
    [
      'one tool in two files',
      { 'connections.yaml': erp, 'tools/a.yaml': draft, 'tools/b.yaml': draft },
      'tools/b.yaml:2:5 DUPLICATE_NAME /tools/0/name',
    ],
    [
      'one connection in two files',
      { 'connections.yaml': erp, 'flows/b.yaml': erp },
      'flows/b.yaml:1:16 DUPLICATE_NAME /connections/erp',
    ],
    [
      'one role in two files',
      { 'roles.yaml': 'roles: { x: }', 'tools/b.yaml': 'roles: { x: }' },
      'tools/b.yaml:1:10 DUPLICATE_NAME /roles/x',
    ],
    [
      'an agent with the name of a flow',
      { 'flows/a.yaml': simple, 'flows/b.yaml': 'name: f\npermissions: {}' },
      'flows/b.yaml:1:1 DUPLICATE_NAME /name',
    ],
    [
      'an agent without permissions',
      { 'flows/b.yaml': 'name: bot\nowner: t' },
      'flows/b.yaml:1:1 REQUIRED /permissions',
    ],
    [
      'an unknown kind of connection',
      { 'connections.yaml': 'connections: { x: { kind: http, baseUrl: y } }' },
      'connections.yaml:1:27 UNKNOWN_KIND /connections/x/kind',
    ],
    [
      'an address that is none',
      { 'connections.yaml': `connections: { x: ${rest('erp.example')} }` },
      'connections.yaml:1:42 CONNECTION_INVALID /connections/x/baseUrl',
    ],
    [
      'an address of a file',
      { 'connections.yaml': `connections: { x: ${rest('file:///etc/passwd')} }` },
      'connections.yaml:1:42 SECRET_REFERENCE /connections/x/baseUrl',
    ],
    [
      'an address that is a secret',
      { 'connections.yaml': `connections: { x: ${rest('secret://address')} }` },
      'connections.yaml:1:42 SECRET_REFERENCE /connections/x/baseUrl',
    ],
    [
      'an MCP address that is a secret',
      { 'connections.yaml': 'connections: { x: { kind: mcp, url: "secret://address" } }' },
      'connections.yaml:1:37 SECRET_REFERENCE /connections/x/url',
    ],
    [
      'a path of programs that is a secret',
      { 'connections.yaml': 'connections: { x: { kind: cli, command: a, env: { PATH: "secret://path" } } }' },
      'connections.yaml:1:57 SECRET_REFERENCE /connections/x/env/PATH',
    ],
    [
      'the path of programs of an MCP server that is a secret',
      { 'connections.yaml': 'connections: { x: { kind: mcp, command: a, env: { PATH: "secret://path" } } }' },
      'connections.yaml:1:57 SECRET_REFERENCE /connections/x/env/PATH',
    ],
    [
      'an MCP server of both kinds',
      { 'connections.yaml': 'connections: { x: { kind: mcp, command: a, url: "https://b" } }' },
      'connections.yaml:1:27 CONNECTION_INVALID /connections/x/kind',
    ],
    [
      'an MCP server of neither kind',
      { 'connections.yaml': 'connections: { x: { kind: mcp } }' },
      'connections.yaml:1:27 CONNECTION_INVALID /connections/x/kind',
    ],
    [
      'a connection for an unknown environment',
      { 'connections.yaml': `connections: { x: { environments: { live: ${rest('https://e.example')} } } }` },
      'connections.yaml:1:37 UNKNOWN_ENVIRONMENT /connections/x/environments/live',
    ],
    [
      'a connection for no environment',
      { 'connections.yaml': 'connections: { x: { environments: {} } }' },
      'connections.yaml:1:35 WRONG_VALUE /connections/x/environments',
    ],
    [
      'a queue without roles',
      { 'roles.yaml': 'queues: { money: { roles: [] } }' },
      'roles.yaml:1:27 WRONG_VALUE /queues/money/roles',
    ],
    [
      'connections as nothing',
      { 'connections.yaml': 'connections:' },
      'connections.yaml:1:1 WRONG_TYPE /connections',
    ],
    [
      'a flow in an environment that is not there',
      { 'environments.yaml': 'environments: { live: }', 'flows/f.yaml': simple },
      'flows/f.yaml:2:3 UNKNOWN_ENVIRONMENT /workflows/f',
    ],
    [
      'a tool that reads what it does not declare',
      {
        'connections.yaml': erp,
        'tools/a.yaml': `${draft}    guards: [{ kind: expr, expr: '$.arguments.amuont > 5' }]\n`,
      },
      'tools/a.yaml:6:5 UNDECLARED_ARGUMENT /tools/0/guards',
    ],
  ];
  for (const [title, files, told] of rows) {
    test(title, async () => {
      const errors = await loadInvalid(files);
      assert.ok(summariesOf(errors).includes(told), `${told}\n${JSON.stringify(errors, null, 1)}`);
    });
  }

  test('what is no YAML is told in words of what was meant', async () => {
    const said = {
      'description: deploy: with approval': /^what stands behind `:` .*put a text in quotes/,
      'a: 1\n<<<<<<< HEAD\nb: 2\n=======\nb: 3\n>>>>>>> theirs\n': /^a merge left a conflict here/,
      'a: 1\nb c\nd: 2': /^a line without `:` stands/,
    };
    for (const [text, message] of Object.entries(said)) {
      const [error] = await loadInvalid({ 'flows/f.yaml': text });
      assert.equal(error?.code, 'MALFORMED');
      assert.match(error.message, message);
    }
    const block = await loadInvalid({ 'flows/f.yaml': 'a: |\n <<<<<<< x\nb: c: d' });
    assert.match(block[0]?.message ?? '', /^what stands behind/);
  });

  test('an address with a query is refused for that, and the message repeats nothing of it', async () => {
    const [error] = await loadInvalid({
      'connections.yaml': `connections: { x: ${rest('https://a.example?api_key=k1')} }`,
    });
    assert.match(
      error?.message ?? '',
      /^`https:\/\/a\.example\?…` is no http address without query, credentials/,
    );
  });

  test('a folder that is not there, and a folder that is a file', async () => {
    const root = await folderOf({ 'roles.yaml': 'roles: { x: }' });
    for (const path of [join(root, 'none'), join(root, 'roles.yaml')]) {
      const result = await loadFolder(path);
      assert.ok(result.status === 'invalid');
      assert.equal(result.errors[0]?.code, 'NO_FOLDER');
    }
  });

  test('one mistake in one file, and nothing of the folder is used; all mistakes are told, by file', async () => {
    const errors = await loadInvalid({
      'flows/a.yaml': simple,
      'flows/b.yaml': withStates('a: { terminall: true }').replace('  f:', '  g:'),
      'connections.yaml': 'conections: {}',
    });
    assert.deepEqual(
      errors.map((problem) => problem.file),
      ['connections.yaml', 'flows/b.yaml'],
    );
  });
});

describe('connections per environment', () => {
  const connections = `connections:
  erp:
    environments:
      dev: ${rest('http://127.0.0.1:9')}
      prod: ${rest('https://erp.example')}
`;
  const flowIn = (environment: string): string =>
    withTransition(
      'tier: read_only\nexecutor: { kind: rest, connection: erp, method: GET, path: / }',
      `environment: ${environment}`,
    );

  test('each has its own target', async () => {
    const { policySet } = await loadValid({
      'connections.yaml': connections,
      'flows/f.yaml': flowIn('prod'),
    });
    const targets = policySet.connections[0]?.targets.map(({ environment, connection }) => [
      environment,
      connection.kind === 'rest' ? connection.baseUrl : null,
    ]);
    assert.deepEqual(targets, [
      ['dev', 'http://127.0.0.1:9'],
      ['prod', 'https://erp.example'],
    ]);
  });

  test('a flow where a connection leads nowhere is refused', async () => {
    const errors = await loadInvalid({ 'connections.yaml': connections, 'flows/f.yaml': flowIn('staging') });
    assert.match(JSON.stringify(errors), /UNKNOWN_CONNECTION.*serves no `staging`/);
  });

  test('a connection with a mistake is refused for the mistake alone, and nothing that uses it is', async () => {
    const wrong: Readonly<Record<string, string>> = {
      CONNECTION_INVALID: rest('erp.example'),
      UNKNOWN_KEY: rest('https://erp.example').replace('}', ', header: {} }'),
    };
    for (const [code, dev] of Object.entries(wrong))
      for (const text of [
        `connections: { erp: ${dev} }`,
        connections.replace(rest('http://127.0.0.1:9'), dev),
      ]) {
        const errors = await loadInvalid({
          'connections.yaml': text,
          'tools/a.yaml': draft,
          'flows/f.yaml': flowIn('dev'),
        });
        assert.deepEqual(
          errors.map((problem) => `${problem.code} ${problem.file ?? ''}`),
          [`${code} connections.yaml`],
          text,
        );
      }
  });

  test('a tool with a mistake is refused for that alone, and nothing that uses it', async () => {
    const errors = await loadInvalid({
      'tools/a.yaml': draft.replace('reversible', 'reversable'),
      'flows/f.yaml': withTransition('tool: draft'),
      'flows/g.yaml': withTransition('tool: draft').replace('workflows:\n  f', 'workflows:\n  g'),
      'flows/agent.yaml': `name: clerk
owner: team
permissions: { read: [], execute: [draft], deny: [] }
approval_gate: { on: amount > 5, approver_role: finance }
`,
      'notifications.yaml':
        'channels: { hook: { kind: webhook, url: "https://example.org", secret: env://S } }\nroutes: [{ to: [hook], flow: f }]\n',
      'flows/wrong.yaml': withTransition('tool: drafd').replace('workflows:\n  f', 'workflows:\n  w'),
    });
    assert.deepEqual(
      errors.map((problem) => `${problem.code} ${problem.file ?? ''}`),
      ['UNKNOWN_TOOL flows/wrong.yaml', 'UNKNOWN_VALUE tools/a.yaml'],
    );
  });

  test('a file of declarations that cannot be read is refused for that alone, and nothing that names what it declares', async () => {
    const files = {
      'connections.yaml': connections,
      'environments.yaml': 'environments: { dev: {}, prod: { gates: [{ queue: cash }] } }',
      'roles.yaml': 'roles: { cashier: }\nqueues: { cash: { roles: [cashier] } }',
      'tools/a.yaml': draft,
      'flows/f.yaml': flowIn('dev'),
    };
    await loadValid(files);
    for (const [file, text] of Object.entries(files).filter(([name]) => name !== 'flows/f.yaml'))
      for (const wrong of [`${text}\nodd: 1\n`, `${text}\n}: {`, '']) {
        const errors = await loadInvalid({ ...files, [file]: wrong });
        assert.deepEqual(
          [errors.length, [...new Set(errors.map((problem) => problem.file))]],
          [1, [file]],
          JSON.stringify(errors),
        );
      }
  });

  test('beside a file of declarations that cannot be read, what fits no shape is told of connections, tools and flows', async () => {
    const errors = await loadInvalid({
      'connections.yaml': erp.replace('kind', 'kinf'),
      'roles.yaml': 'rolse: { clerk: }',
      'tools/bad.yaml': draft.replace('tier', 'teir'),
      'tools/proxy.yaml': 'proxy: { expose: [{ name: x, executer: { kind: noop } }] }',
      'flows/f.yaml': withStates('a: { terminl: true }'),
    });
    assert.deepEqual(
      errors.map((problem) => problem.file),
      [
        'connections.yaml',
        'flows/f.yaml',
        'roles.yaml',
        'tools/bad.yaml',
        'tools/proxy.yaml',
        'tools/proxy.yaml',
      ],
      JSON.stringify(errors),
    );
  });

  test('beside a mistake in a flow, routes are held to all that it does not name', async () => {
    const flow = withTransition('executor: { kind: human, queue: desk, rolse: [] }');
    const result = await loadFiles({
      'roles.yaml': 'queues: { money: { roles: [chief] } }',
      'flows/f.yaml': flow,
      'notifications.yaml': `channels: { hook: { kind: webhook, url: "https://example.org", secret: env://S } }
routes: [{ queue: desk, flow: f, to: [hook] }, { queue: mony, flow: g, to: [hok] }]
`,
    });
    assert.ok(result.status === 'invalid');
    assert.deepEqual(
      result.errors.map((finding) => `${finding.code} ${finding.path}`),
      [
        'UNKNOWN_KEY /workflows/f/states/a/transitions/go/executor/rolse',
        'ROUTE_UNKNOWN /routes/1/queue',
        'UNKNOWN_CHANNEL /routes/1/to/0',
      ],
    );
    assert.deepEqual(
      result.warnings.map((finding) => `${finding.code} ${finding.path}`),
      ['UNKNOWN_FLOW /routes/1/flow'],
    );
  });

  test('nothing that names a tool is refused for it where a name of a tool, or a file of flows, cannot be read', async () => {
    const more = draft.replace('name: draft', 'name: draft2');
    const told = async (files: Readonly<Record<string, string>>): Promise<readonly string[]> =>
      (
        await loadInvalid({
          'connections.yaml': connections,
          'tools/a.yaml': draft,
          'flows/f.yaml': withTransition('tool: draft2'),
          ...files,
        })
      ).map((problem) => `${problem.code} ${problem.file ?? ''}`);
    const other = { 'flows/g.yaml': withTransition('tool: draft\nonDeny: nowhere').replace('  f:', '  g:') };
    assert.deepEqual(await told({ ...other, 'tools/b.yaml': more.replace('name', 'nmae') }), [
      ...(await told({ ...other, 'tools/b.yaml': more })),
      'REQUIRED tools/b.yaml',
      'UNKNOWN_KEY tools/b.yaml',
    ]);
    assert.deepEqual(await told({ 'flows/all.yaml': `${more}odd: 1\n` }), ['UNKNOWN_KEY flows/all.yaml']);
    assert.deepEqual(await told({ 'flows/all.yaml': `${more}}: {` }), ['MALFORMED flows/all.yaml']);
  });

  test('one name is of one kind everywhere', async () => {
    const errors = await loadInvalid({
      'connections.yaml': connections.replace(rest('https://erp.example'), '{ kind: cli, command: ls }'),
    });
    assert.deepEqual(
      errors.map((problem) => problem.code),
      ['CONNECTION_KIND'],
    );
  });
});

describe('proxy.expose', () => {
  const proxy = `proxy:
  expose:
  - name: deploy.prod
    guards:
    - kind: permission
      permission: deploy.production
    executor: { kind: cli, connection: kubectl, args: [apply] }
`;
  const kubectl = 'connections: { kubectl: { kind: cli, command: /usr/bin/kubectl } }\n';

  test('the example of the seed becomes a flow of one state, with a warning that it has no tier', async () => {
    const { flows, catalog, warnings } = await loadValid({
      'connections.yaml': kubectl,
      'tools/deploy.yaml': proxy,
    });
    assert.deepEqual(
      flows.map((flow) => flow.name),
      ['proxy'],
    );
    const { plan } = flows[0]!;
    assert.equal(plan.notation, 'proxy');
    assert.deepEqual(
      plan.states.map((state) => [state.name, state.terminal]),
      [['active', false]],
    );
    const [deploy] = plan.states[0]!.transitions;
    assert.deepEqual(
      [deploy?.name, deploy?.target, deploy?.tier, deploy?.guards],
      ['deploy.prod', 'active', null, [{ kind: 'permission', permission: 'deploy.production' }]],
    );
    assert.deepEqual(deploy?.executor, {
      kind: 'cli',
      connection: 'kubectl',
      args: [{ kind: 'literal', value: 'apply' }],
      stdin: null,
      idempotencyKey: false,
    });
    assert.deepEqual(
      catalog.tools.map((tool) => tool.name),
      ['deploy.prod'],
    );
    assert.ok(
      warnings.some((finding) => finding.code === 'TIER_MISSING' && finding.path === '/proxy/expose/0'),
    );
  });

  test('where tiers are demanded, a missing tier is an error', async () => {
    const errors = await loadInvalid({
      'connections.yaml': kubectl,
      'environments.yaml': 'environments: { dev: { requireTiers: true } }',
      'tools/deploy.yaml': proxy,
    });
    assert.ok(
      summariesOf(errors).some((finding) => finding.includes('TIER_MISSING /proxy/expose/0')),
      JSON.stringify(errors),
    );
  });

  test('under a charter it cannot be permitted', async () => {
    const errors = await loadInvalid({
      'connections.yaml': kubectl,
      'tools/deploy.yaml': proxy,
      'flows/bot.yaml': 'name: bot\nowner: t\npermissions: { execute: [deploy.prod] }',
    });
    assert.deepEqual(summariesOf(errors), ['flows/bot.yaml:3:26 TIER_REQUIRED /permissions/execute/0']);
  });

  test('a flow that is called proxy too is refused', async () => {
    const errors = await loadInvalid({
      'connections.yaml': kubectl,
      'tools/deploy.yaml': proxy,
      'flows/f.yaml': simple.replace('  f:', '  proxy:'),
    });
    assert.ok(errors.some((problem) => problem.code === 'DUPLICATE_NAME'));
  });
});

describe('warnings', () => {
  const untiered = withTransition('executor: { kind: rest, connection: erp, method: GET, path: / }');
  const environments = (rules: string): string => `environments: { dev: { ${rules} } }`;
  const acknowledged = untiered.replace(
    '    owner: team',
    '    owner: team\n    acknowledge: [{ code: TIER_MISSING, reason: it reads }]',
  );

  test('a missing tier loads where tiers are not demanded, and does not where they are', async () => {
    const { warnings } = await loadValid({ 'connections.yaml': erp, 'flows/f.yaml': untiered });
    assert.deepEqual(
      warnings.map((finding) => finding.code),
      ['TIER_MISSING'],
    );
    const errors = await loadInvalid({
      'connections.yaml': erp,
      'environments.yaml': environments('requireTiers: true'),
      'flows/f.yaml': untiered,
    });
    assert.deepEqual(
      errors.map((problem) => problem.code),
      ['TIER_MISSING'],
    );
  });

  test('what an author has accepted is told with its reason', async () => {
    const { warnings } = await loadValid({ 'connections.yaml': erp, 'flows/f.yaml': acknowledged });
    assert.deepEqual(
      warnings.map((finding) => [finding.code, finding.acknowledged]),
      [['TIER_MISSING', 'it reads']],
    );
  });

  test('what an environment demands, no author can accept away', async () => {
    const errors = await loadInvalid({
      'connections.yaml': erp,
      'environments.yaml': environments('requireTiers: true'),
      'flows/f.yaml': acknowledged,
    });
    assert.deepEqual(
      errors.map((problem) => problem.code),
      ['TIER_MISSING'],
    );
  });

  test('an environment may refuse them', async () => {
    const errors = await loadInvalid({
      'connections.yaml': erp,
      'environments.yaml': environments('refuseWarnings: true'),
      'flows/f.yaml': untiered,
    });
    assert.deepEqual(
      errors.map((problem) => problem.code),
      ['TIER_MISSING'],
    );
  });

  const rows: readonly (readonly [code: string, text: string])[] = [
    ['NO_OWNER', simple.replace('    owner: team\n', '')],
    ['UNREACHABLE_STATE', withStates('a: { terminal: true }\nb: { terminal: true }')],
    ['DEAD_END', withStates('a: { goal: none }')],
    ['NO_WAY_TO_END', withStates('a: { transitions: { go: { target: a } } }')],
    [
      'MIXED_DETERMINISTIC',
      withStates(
        'a: { transitions: { go: { target: b }, auto: { target: b, actor: deterministic } } }\nb: { terminal: true }',
      ),
    ],
    [
      'NAMES_DIFFER_IN_CASE',
      withStates('a: { transitions: { go: { target: b }, Go: { target: b } } }\nb: { terminal: true }'),
    ],
    ['NEVER_WRITTEN', withTransition("guards: [{ kind: expr, expr: '$.context.aproved == true' }]")],
    ['NEVER_FAILS', withTransition("guards: [{ kind: expr, expr: '1 == 1' }]")],
    ['GATE_WITHOUT_TIMEOUT', withTransition('gate: { roles: [x] }')],
    ['GATE_SHOWS_NOTHING', withTransition('gate: { timeout: { after: 1h } }')],
    ['UNKNOWN_QUEUE', withTransition('executor: { kind: human, queue: money }')],
    [
      'DEFAULT_GATE',
      withTransition('tier: irreversible\nexecutor: { kind: rest, connection: erp, method: POST, path: / }'),
    ],
    [
      'RETRY_NOT_IDEMPOTENT',
      withTransition(
        'tier: reversible\nexecutor: { kind: rest, connection: erp, method: POST, path: /, reliability: { retry: { maxAttempts: 2 } } }',
      ),
    ],
    ...['tier: irreversible\n', 'headers', 'query'].map((how): [string, string] => [
      'RETRY_NOT_IDEMPOTENT',
      withTransition(
        `${how.startsWith('tier') ? how : ''}executor: { kind: rest, connection: erp, method: GET, path: /, ${how === 'headers' ? 'headers: { X-HTTP-Method-Override: DELETE },' : ''} ${how === 'query' ? 'query: { _method: DELETE },' : ''} reliability: { retry: { maxAttempts: 2 } } }`,
      ),
    ]),
    [
      'RETRY_NOT_IDEMPOTENT',
      withTransition(
        'tier: reversible\nexecutor: { kind: rest, connection: erp, method: POST, path: /, reliability: { fallback: { strategy: first_success, executors: [{ kind: rest, connection: erp, method: POST, path: /b }] } } }',
      ),
    ],
  ];
  const irreversible = withTransition(
    'tier: irreversible\nexecutor: { kind: rest, connection: erp, method: POST, path: / }',
  );
  const inDev = (dev: string): Readonly<Record<string, string>> => ({
    'connections.yaml': erp,
    'environments.yaml': `environments: { dev: ${dev} }`,
    'flows/f.yaml': irreversible,
  });
  const floor = (more: string): string =>
    `{ gateTimeout: 2d, gates: [{ tiers: [irreversible], roles: [chief], ${more} }] }`;
  test('an error that is a warning elsewhere says which environment refuses it, and what to do', async () => {
    const messagesOf = async (dev: string, text: string): Promise<readonly (string | undefined)[]> =>
      (await loadInvalid({ ...inDev(dev), 'flows/f.yaml': text })).map((problem) => problem.message);
    assert.match(
      (await messagesOf('{ refuseWarnings: true }', irreversible)).join('\n'),
      /one approval by somebody else is asked for; environment `dev` refuses warnings: mend it, or acknowledge it$/,
    );
    assert.match(
      (
        await messagesOf('{ requireTiers: true }', irreversible.replace('tier: irreversible', 'title: go'))
      ).join('\n'),
      /; environment `dev` requires tiers: name it$/,
    );
  });
  test('DEFAULT_GATE: not where the environment keeps the requester out, and so asks for no default', async () => {
    const codes = async (dev: string): Promise<readonly string[]> =>
      (await loadValid(inDev(dev))).warnings.map((finding) => finding.code);
    assert.deepEqual(await codes(floor('')), []);
    assert.deepEqual(await codes(floor('separation: { requester: false }')), ['DEFAULT_GATE']);
  });
  test("DEFAULT_GATE: of a step that calls nothing, under which no environment has a gate, and not of a person's", async () => {
    const dev = floor('').replace('{', '{ refuseWarnings: true,');
    const result = (executor: string, more = ''): Promise<FolderResult> => {
      const step = `tier: irreversible\ninputSchema: { type: object, additionalProperties: false, properties: { n: { type: string } } }\nexecutor: ${executor}`;
      const text = withTransition(step).replace('    owner:', `${more}    owner:`);
      return loadFiles({ ...inDev(dev), 'flows/f.yaml': text });
    };
    const codes = async (...given: Parameters<typeof result>): Promise<readonly string[]> => {
      const found = await result(...given);
      return (found.status === 'loaded' ? found.warnings : found.errors).map((finding) => finding.code);
    };
    const rest = '{ kind: rest, connection: erp, method: POST, path: / }';
    const acknowledge = '    acknowledge: [{ code: DEFAULT_GATE, reason: known }]\n';
    assert.deepEqual(await codes('{ kind: noop, output: { a: 1 } }'), ['DEFAULT_GATE']);
    assert.deepEqual(await codes('{ kind: human, roles: [chief] }'), []);
    // An acknowledgement of it is not reported as unused.
    for (const executor of [rest, '{ kind: human, roles: [chief] }', '{ kind: noop, output: { a: 1 } }'])
      assert.equal((await result(executor, acknowledge)).status, 'loaded', executor);
    const proxy = (executor: string): string =>
      `proxy:\n  expose: [{ name: x, tier: irreversible, executor: ${executor}, acknowledge: [{ code: GATE_WITHOUT_TIMEOUT, reason: r }, { code: DEFAULT_GATE, reason: r }] }]`;
    for (const executor of [rest, '{ kind: noop }'])
      assert.doesNotMatch(
        JSON.stringify(
          await loadFiles({
            'connections.yaml': erp,
            'environments.yaml': `environments: { dev: ${floor('')} }`,
            'tools/t.yaml': proxy(executor),
          }),
        ),
        /ACKNOWLEDGED_NOTHING[^}]*DEFAULT_GATE/,
      );
  });
  test('GATE_WITHOUT_TIMEOUT: not of the gate of an environment that has a `gateTimeout`', async () => {
    const { warnings } = await loadValid(inDev(floor('').replace('gateTimeout: 2d, ', '')));
    assert.deepEqual(
      warnings.map((finding) => finding.code),
      ['GATE_WITHOUT_TIMEOUT'],
    );
  });
  test('RETRY_NOT_IDEMPOTENT: of each executor of a step, whichever has no key', async () => {
    const { catalog } = await loadValid({ 'connections.yaml': erp });
    const call = (method: string, key?: boolean): string =>
      `kind: rest, connection: erp, method: ${method}, path: /${key === undefined ? '' : `, idempotencyKey: ${key}`}`;
    const warns = (first: string, ...fallbacks: string[]): boolean => {
      const executors = fallbacks.map((fallback) => `{ ${fallback} }`).join(', ');
      const text = withTransition(
        `executor: { ${first}, reliability: { retry: { maxAttempts: 1 }, fallback: { strategy: first_success, executors: [${executors}] } } }`,
      );
      const checked = checkFlowText(text, { catalog });
      assert.equal(checked.status, 'valid', JSON.stringify(checked));
      return checked.warnings.some((finding) => finding.code === 'RETRY_NOT_IDEMPOTENT');
    };
    assert.equal(warns(call('POST', true), call('POST', false)), true);
    assert.equal(warns(call('GET'), call('POST'), call('PUT')), true);
    assert.equal(warns(call('POST'), call('POST', true)), true);
    assert.equal(warns(call('POST', true), call('GET')), false);
    assert.equal(warns(call('POST', true), call('POST')), false);
    assert.equal(warns(call('GET'), call('POST', false)), false);
    assert.equal(warns(call('POST'), call('GET')), false);
  });

  for (const [code, text] of rows) {
    test(code, async () => {
      const { catalog } = await loadValid({ 'connections.yaml': erp });
      const checked = checkFlowText(text, { catalog });
      assert.equal(checked.status, 'valid', JSON.stringify(checked));
      assert.ok(
        checked.warnings.some((finding) => finding.code === code),
        JSON.stringify(checked.warnings),
      );
      for (const finding of checked.warnings) assert.ok(finding.line >= 1 && finding.column >= 1);
    });
  }
});
