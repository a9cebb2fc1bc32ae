import assert from 'node:assert/strict';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, relative } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { fileURLToPath } from 'node:url';
import { z } from 'zod';
import type { Checked } from '../../src/cli/check.js';
import { run } from '../../src/cli/command.js';
import { findingCodes, findings } from '../../src/policy/index.js';
import { writeFiles } from '../../testing/files.js';

// `npx countersign check`: what was found, where, in three forms, and what the exit code says of it.

interface Ran {
  readonly code: number;
  readonly out: string;
  readonly err: string;
}

let root: string;
before(() => {
  root = mkdtempSync(join(tmpdir(), 'countersign-check-'));
  const files: Readonly<Record<string, string>> = {
    'connections.yaml': 'connections: { erp: { kind: rest, baseUrl: "https://erp.example" } }\n',
    'tools/erp.yaml': `tools:
  - name: erp.wipe
    tier: irreversible
    executor: { kind: rest, connection: erp, method: DELETE, path: / }
    gate: { roles: [chief] }
    acknowledge: [{ code: GATE_WITHOUT_TIMEOUT, reason: the default is right for it }]
`,
    'flows/good one.yaml': `workflows:
  good:
    acknowledge: [{ code: NO_OWNER, reason: everybody's }]
    initialState: a
    states: { a: { terminal: true } }
`,
    'flows/warned.yaml': `workflows:
  warned:
    owner: team
    initialState: a
    states:
      a: { terminal: true }
      b: { terminal: true }
`,
    'flows/wrong.yaml': `workflows:
  wrong:
    owner: team
    initialState: a
    states:
      a: { transitions: { go: { target: bb } } }
      b: { terminal: true }
`,
  };
  writeFiles(join(root, 'policies'), files);
});
after(() => rmSync(root, { recursive: true }));

const check = (...argv: string[]): Promise<Ran> => checkBeside(join(root, 'policies'), argv);

async function checkBeside(policies: string, argv: readonly string[]): Promise<Ran> {
  const [out, err]: [string[], string[]] = [[], []];
  const env = { COUNTERSIGN_POLICIES: policies };
  const code = await run(['check', ...argv], {
    out: (line) => void out.push(line),
    err: (line) => void err.push(line),
    env,
  });
  return { code, out: out.join('\n'), err: err.join('\n') };
}

/** What SARIF 2.1.0 demands of the parts that are written here, and how it writes them. */
const text = z.strictObject({ text: z.string().min(1), markdown: z.string().optional() });
const rule = z.strictObject({
  id: z.string().min(1),
  shortDescription: text,
  help: text,
  helpUri: z.url(),
  defaultConfiguration: z.strictObject({ level: z.enum(['none', 'note', 'warning', 'error']) }),
});
const location = z.strictObject({
  physicalLocation: z.strictObject({
    artifactLocation: z.strictObject({
      uri: z.string().regex(/^(?!\/)[^\s\\]+$/),
      uriBaseId: z.literal('%SRCROOT%').optional(),
    }),
    region: z.strictObject({ startLine: z.int().min(1), startColumn: z.int().min(1) }),
  }),
  logicalLocations: z.array(z.strictObject({ fullyQualifiedName: z.string().min(1) })).optional(),
});
const result = z.strictObject({
  ruleId: z.string(),
  ruleIndex: z.int().min(0),
  level: z.enum(['error', 'warning']),
  message: text,
  locations: z.array(location).length(1),
  partialFingerprints: z.record(z.string(), z.string().regex(/^[0-9a-f]{64}$/)),
  suppressions: z.array(
    z.strictObject({
      kind: z.enum(['inSource', 'external']),
      status: z.enum(['accepted', 'underReview', 'rejected']),
      justification: z.string().min(1),
    }),
  ),
});
const sarifLog = z.strictObject({
  $schema: z.url(),
  version: z.literal('2.1.0'),
  runs: z
    .array(
      z.strictObject({
        tool: z.strictObject({ driver: z.strictObject({ name: z.string().min(1), rules: z.array(rule) }) }),
        originalUriBaseIds: z.record(z.string(), z.strictObject({ description: text })),
        columnKind: z.enum(['utf16CodeUnits', 'unicodeCodePoints']),
        results: z.array(result),
      }),
    )
    .length(1),
});

const sarif = (...paths: string[]) => sarifBeside(join(root, 'policies'), paths);

async function sarifBeside(policies: string, paths: readonly string[]) {
  const ran = await checkBeside(policies, [...paths, '--format', 'sarif']);
  const log = sarifLog.parse(JSON.parse(ran.out));
  const [first] = log.runs;
  assert.ok(first !== undefined);
  return { code: ran.code, ...first };
}

const flow = (name: string): string => join(root, 'policies/flows', name);

describe('countersign check', () => {
  it('calls nothing valid that it could not look at: it tells what is wrong before, in each form', async () => {
    const state = (more: string): string =>
      `    owner: desk\n    initialState: a\n    states: { a: { transitions: { go: { target: nowhere${more} } } } }\n`;
    const files = {
      'roles.yaml': 'roles: { chief: { permissions: [] } }\n',
      'tools/t.yaml': 'tools: [{ name: pay, tier: reversible, executor: { kind: noop } }]\n',
      'flows/a.yaml': `workflows:\n  a:\n${state(', tool: pay')}`,
      'flows/b.yaml': `workflows:\n  b:\n${state(', tool: payy')}`,
      'flows/fine.yaml':
        'workflows: { fine: { owner: x, initialState: a, states: { a: { terminal: true } } } }\n',
      'notifications.yaml':
        'channels: { h: { kind: webhook, url: "https://h.example", signing: ed25519 } }\nroutes: [{ flow: b, role: desk, to: [h] }]\n',
    };
    const wrongTool = 'tools: [{ name: pay, executor: { kind: noopp } }, { tier: reversible }]\n';
    for (const [wrong, text, left] of [
      [
        'roles.yaml',
        'rolez: {}\n',
        ['flows', 'flows/a.yaml', 'flows/fine.yaml', 'notifications.yaml', 'tools/t.yaml'],
      ],
      ['tools/t.yaml', wrongTool, ['flows', 'flows/a.yaml', 'flows/b.yaml', 'notifications.yaml']],
      ['flows/b.yaml', files['flows/b.yaml'], ['notifications.yaml']],
    ] as const) {
      const policies = mkdtempSync(join(root, 'unread-'));
      writeFiles(policies, { ...files, [wrong]: text });
      for (const file of left) {
        const path = join(policies, file);
        const told = await checkBeside(policies, [path]);
        assert.equal(told.code, 1, told.out);
        assert.ok(told.out.includes(`${join(policies, wrong)}:`), told.out);
        assert.ok(
          told.out.endsWith(
            `${path}: not checked: the folder cannot be read as a whole until the files named above are corrected`,
          ),
          told.out,
        );
        const [found] = JSON.parse((await checkBeside(policies, [path, '--json'])).out) as [Checked];
        assert.deepEqual([found.valid, found.checked, found.errors.length > 0], [false, false, true]);
        const { code, results } = await sarifBeside(policies, [path]);
        assert.deepEqual([code, results.length], [1, found.errors.length]);
      }
      const fine = await checkBeside(policies, [join(policies, 'flows/fine.yaml')]);
      assert.equal(fine.code, wrong === 'roles.yaml' ? 1 : 0, fine.out);
    }
  });

  it('calls routes valid while only a case or a flow is wrong, as neither makes an error of them', async () => {
    const files = {
      'flows/a.yaml':
        'workflows: { a: { owner: invoices, initialState: a, states: { a: { terminal: true } } } }\n',
      'notifications.yaml':
        'channels: { h: { kind: webhook, url: "https://h.example", signing: ed25519 } }\nroutes: [{ flow: invoices, to: [h] }]\nacknowledge: [{ code: UNKNOWN_FLOW, reason: it is published by its team }]\n',
    };
    for (const wrong of ['tests/a.test.yaml', 'flows/b.yaml']) {
      const policies = mkdtempSync(join(root, 'routes-'));
      writeFiles(policies, { ...files, [wrong]: 'workflows: { b: {} }\n' });
      const routes = join(policies, 'notifications.yaml');
      const told = await checkBeside(policies, [routes]);
      assert.equal(told.code, 0, told.out);
      assert.doesNotMatch(told.out, /ACKNOWLEDGED_NOTHING/);
      // Only what declares names leaves one open.
      writeFileSync(routes, files['notifications.yaml'].replace('flow: invoices', 'role: invoices'));
      const isOpen = wrong === 'flows/b.yaml';
      const { code, out } = await checkBeside(policies, [routes]);
      assert.deepEqual(
        [code, out.includes('ROUTE_UNKNOWN'), out.includes('not checked')],
        [1, !isOpen, isOpen],
        out,
      );
    }
  });

  it('reads the shipped folder where the variable is empty, as the service does, and misses no address that npm start gives it', async () => {
    const ran = await checkBeside('', []);
    assert.match(ran.out, /^policies: valid$/m);
    assert.doesNotMatch(ran.out, /REFERENCE_UNSET/);
  });

  it('gives 0 where nothing is wrong, warnings or not, 1 where something is, 2 where the command line is wrong', async () => {
    assert.equal((await check(flow('good one.yaml'))).code, 0);
    assert.equal((await check(flow('warned.yaml'))).code, 0);
    assert.equal((await check(flow('wrong.yaml'))).code, 1);
    assert.equal((await check()).code, 1);
    for (const argv of [
      ['/no/such/place'],
      ['--format', 'xml'],
      ['--json', '--format', 'sarif'],
      ['--reason', 'x'],
    ])
      assert.equal((await check(...argv)).code, 2, argv.join(' '));
  });

  it('names a file that is set as the policies folder, as npm start does, and sends nobody in a circle', async () => {
    const file = join(root, 'policies', 'flows', 'warned.yaml');
    for (const argv of [[], [join(root, 'policies', 'flows', 'wrong.yaml')]]) {
      const { code, err } = await checkBeside(file, argv);
      assert.equal(err, `there is no policies folder \`${file}\`: set COUNTERSIGN_POLICIES to one`);
      assert.equal(code, 2);
    }
  });

  it('names the file as it is found from here, with line and column, and says the nearest name once', async () => {
    const { out } = await check(flow('wrong.yaml'));
    assert.match(out, /flows\/wrong\.yaml:6:\d+: error DANGLING_TARGET: [^\n]+: did you mean `b`\?\n/);
    assert.equal(out.split('did you mean').length, 2);
    const [line = ''] = out.split('\n');
    assert.ok(existsSync(line.slice(0, line.indexOf(':'))), line);
  });

  it('takes a folder inside the policies for the files in it', async () => {
    const { code, out } = await check(join(root, 'policies/tools'));
    assert.equal(code, 0, out);
    assert.match(out, /erp\.yaml:5:\d+: warning GATE_WITHOUT_TIMEOUT/);
    assert.doesNotMatch(out, /flows/);
  });

  it('keeps acknowledged warnings in sight, with their reasons', async () => {
    const { out } = await check(flow('good one.yaml'));
    assert.match(out, /warning NO_OWNER: [^\n]*\(acknowledged: everybody's\)/);
    const [told] = JSON.parse((await check(flow('good one.yaml'), '--json')).out);
    assert.deepEqual(
      told.warnings.map((warning: { code: string; acknowledged?: string }) => [
        warning.code,
        warning.acknowledged,
      ]),
      [['NO_OWNER', "everybody's"]],
    );
  });

  it('says which references have no value here, with file, line and owner, and still that the folder is valid', async () => {
    const folder = join(root, 'referring');
    mkdirSync(folder);
    writeFileSync(
      join(folder, 'connections.yaml'),
      `connections:
  pay: { kind: rest, baseUrl: "env://PAY_URL", headers: { Authorization: "secret://pay" } }
  run: { kind: cli, command: run, env: { TOKEN: "env://RUN_TOKEN" } }
`,
    );
    writeFileSync(
      join(folder, 'notifications.yaml'),
      'channels:\n  hook: { kind: webhook, url: "https://a.example", secret: "env://HOOK" }\n',
    );
    const secrets = mkdtempSync(join(root, 'secrets-'));
    const warned = async (env: NodeJS.ProcessEnv): Promise<readonly string[]> => {
      const out: string[] = [];
      const code = await run(['check', folder], {
        out: (line) => void out.push(line),
        err: assert.fail,
        env,
      });
      assert.equal(code, 0);
      assert.ok(out.some((line) => line.endsWith('referring: valid')));
      return out.filter((line) => line.includes('warning REFERENCE_UNSET'));
    };
    const all = await warned({ COUNTERSIGN_SECRETS: secrets });
    assert.equal(all.length, 4, all.join('\n'));
    for (const [at, told] of [
      ['connections.yaml:2:', 'connection `pay`: reference `env://PAY_URL` has no value'],
      ['connections.yaml:2:', 'connection `pay`: reference `secret://pay` cannot be read'],
      ['connections.yaml:3:', 'connection `run`: reference `env://RUN_TOKEN` has no value'],
      ['notifications.yaml:2:', 'channel `hook`: reference `env://HOOK` has no value'],
    ] as const)
      assert.ok(
        all.some((line) => line.includes(at) && line.includes(told)),
        `${told}\n${all.join('\n')}`,
      );
    writeFileSync(join(secrets, 'pay'), 'a token\n');
    const values = {
      PAY_URL: 'https://pay.example',
      RUN_TOKEN: 'x',
      HOOK: 'y',
      COUNTERSIGN_SECRETS: secrets,
    };
    assert.deepEqual(await warned(values), []);
    assert.equal((await warned({ ...values, HOOK: '' })).length, 1, 'an empty one is none');
  });

  it('takes a single JSON file for JSON, wherever it is', async () => {
    const path = join(root, 'flow.json');
    writeFileSync(path, '{ "workflows": {}, } # no JSON');
    assert.match((await checkBeside(join(root, 'none'), [path])).out, /error MALFORMED/);
  });
});

describe('countersign check --format sarif', () => {
  it('calls bytes that are not UTF-8 no text, as the service does, and so do test and simulate', async () => {
    const outside = mkdtempSync(join(tmpdir(), 'countersign-latin-'));
    const files: Readonly<Record<string, Buffer>> = {
      'latin.yaml': Buffer.from('name: bot\nowner: M\xfcller\npermissions: {}\n', 'latin1'),
      'latin.json': Buffer.from('{"name": "bot", "owner": "M\xfcller", "permissions": {}}', 'latin1'),
      'utf16.yaml': Buffer.from('\ufeffname: bot\n', 'utf16le'),
      'latin.test.yaml': Buffer.from('flow: M\xfcller\n', 'latin1'),
    };
    writeFiles(outside, files);
    try {
      const policies = { COUNTERSIGN_POLICIES: join(outside, 'policies') };
      writeFiles(policies.COUNTERSIGN_POLICIES, {
        'flows/f.yaml':
          'workflows: { f: { owner: t, initialState: a, states: { a: { terminal: true } } } }\n',
      });
      for (const name of Object.keys(files)) {
        const path = join(outside, name);
        const told = `\`${path}\` cannot be read as a file of UTF-8 text`;
        const checked = await checkBeside(policies.COUNTERSIGN_POLICIES, [path]);
        assert.equal(checked.code, 1);
        assert.deepEqual(checked.out.split('\n'), [
          `${path}:1:1: error UNREADABLE: ${told}`,
          `${path}: 1 error`,
        ]);
      }
      const cases = join(outside, 'latin.test.yaml');
      for (const argv of [
        ['test', cases],
        ['simulate', 'f', '--input', `@${cases}`],
        ['simulate', 'f', '--as', `@${cases}`],
      ]) {
        const told: string[] = [];
        const take = (line: string): void => void told.push(line);
        assert.equal(await run(argv, { out: take, err: take, env: policies }), 2, argv.join(' '));
        assert.match(told.join('\n'), /cannot be read as a file of UTF-8 text/, argv.join(' '));
      }
    } finally {
      rmSync(outside, { recursive: true });
    }
  });

  it('writes valid SARIF with a rule for every code, each with its own help', async () => {
    const { code, tool } = await sarif();
    assert.equal(code, 1);
    assert.deepEqual(
      tool.driver.rules.map((rule) => [rule.id, rule.defaultConfiguration.level]),
      findingCodes.map((code) => [code, findings[code].severity]),
    );
    for (const { id, helpUri } of tool.driver.rules) {
      const url = new URL(helpUri);
      assert.equal(url.hash, `#${id.toLowerCase()}`);
      assert.match(
        readFileSync(fileURLToPath(new URL(url.pathname, 'file:')), 'utf8'),
        new RegExp(`^## ${id}$`, 'm'),
      );
    }
  });

  it('says the same as --json, each where it stands', async () => {
    const { results, tool } = await sarif();
    const told = JSON.parse((await check('--json')).out)[0];
    const all = [
      ...told.errors.map((error: object) => ({ level: 'error', ...error })),
      ...told.warnings.map((warning: object) => ({ level: 'warning', ...warning })),
    ];
    assert.ok(all.length >= 4, JSON.stringify(all));
    assert.deepEqual(
      results.map(({ ruleId, level, message, locations: [at] }) => ({
        level,
        code: ruleId,
        message: message.text,
        line: at?.physicalLocation.region.startLine,
        column: at?.physicalLocation.region.startColumn,
        path: at?.logicalLocations?.[0]?.fullyQualifiedName ?? '',
      })),
      all.map(({ level, code, message, line, column, path }) => ({
        level,
        code,
        message,
        line,
        column,
        path,
      })),
    );
    for (const result of results) assert.equal(tool.driver.rules[result.ruleIndex]?.id, result.ruleId);
  });

  it('suppresses what was acknowledged, with the reason, and nothing else', async () => {
    const { results } = await sarif();
    assert.deepEqual(
      results
        .filter((result) => result.suppressions.length > 0)
        .map((result) => [result.ruleId, result.suppressions[0]?.kind, result.suppressions[0]?.justification])
        .sort(),
      [
        ['GATE_WITHOUT_TIMEOUT', 'inSource', 'the default is right for it'],
        ['NO_OWNER', 'inSource', "everybody's"],
      ],
    );
    assert.ok(
      results.some((result) => result.ruleId === 'UNREACHABLE_STATE' && result.suppressions.length === 0),
    );
  });

  it('names files from where it runs, with their odd characters encoded, and others by their whole address', async () => {
    const outside = await sarif(flow('good one.yaml'));
    const [far] = outside.results;
    const uri = far?.locations[0]?.physicalLocation.artifactLocation.uri ?? '';
    assert.equal(fileURLToPath(uri), flow('good one.yaml'));
    const here = mkdtempSync('test/cli/check-');
    try {
      writeFileSync(join(here, 'odd #1.yaml'), 'workflows: {}\n');
      const inside = await sarifBeside(here, [join(here, 'odd #1.yaml')]);
      assert.deepEqual(inside.results[0]?.locations[0]?.physicalLocation.artifactLocation, {
        uri: `${relative('.', here)}/odd%20%231.yaml`,
        uriBaseId: '%SRCROOT%',
      });
    } finally {
      rmSync(here, { recursive: true });
    }
  });
});
