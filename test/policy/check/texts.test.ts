import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { checkFlowText } from '../../../src/policy/index.js';
import { compilePublished } from '../../../src/policy/folder/published.js';
import { withoutCredentials, judgeCredential } from '../../../src/policy/check/credentials.js';
import { loadShipped, withTransition } from '../documents.js';
import { loadFiles } from '../load.js';

// Texts that no call could carry or that end with a line break that nobody meant, and credentials that are written where a
// reference belongs: they are reported when the folder is read, not once somebody has approved the call.

test('a text that people read in one line has no line break at its end, however it was written', async () => {
  const { catalog } = await loadShipped();
  const lines = ['title', 'summary', 'consequence', 'readOnlyBecause'].map((key) => `${key}: >\n  says it`);
  const executor = 'tier: read_only\nexecutor: { kind: mcp, connection: classifier, tool: t, map: {} }';
  const text = withTransition(`${lines.join('\n')}\n${executor}`, 'title: |\n  says it\n');
  const checked = checkFlowText(text.replace('owner: team', 'owner: >\n      team'), { catalog });
  assert.ok(checked.status === 'valid', JSON.stringify(checked));
  const { plan } = checked.flow;
  const [step] = plan.states[0]?.transitions ?? [];
  assert.deepEqual([plan.title, plan.owner, step?.title], ['says it', 'team', 'says it']);
  assert.deepEqual([step?.summary?.parts, step?.consequence?.parts], [['says it'], ['says it']]);
  assert.equal(step?.readOnlyBecause, 'says it');
  const blank = checkFlowText(withTransition('summary: >\n\n'), { catalog });
  assert.equal(blank.status, 'invalid');
});

test('an address that people or messages are sent to has no line break at its end either', async () => {
  const loaded = await loadFiles({
    'notifications.yaml':
      'publicUrl: >\n  https://us.example\nchannels:\n  a:\n    kind: webhook\n    secret: env://S\n    url: >\n      https://h.example/in\n',
  });
  assert.ok(loaded.status === 'loaded', JSON.stringify(loaded));
  const { notifications } = loaded.policySet;
  assert.equal(notifications?.publicUrl, 'https://us.example');
  const [channel] = notifications.channels;
  assert.ok(channel?.kind === 'webhook' && channel.url === 'https://h.example/in');
});

const connections = `connections:
  bank: { kind: rest, baseUrl: https://bank.example }
  ledger: { kind: mcp, url: https://ledger.example/mcp }
  shell: { kind: cli, command: ls }
`;

async function findingsIn(files: Readonly<Record<string, string>>): Promise<readonly string[]> {
  const loaded = await loadFiles(files);
  return loaded.status === 'invalid'
    ? loaded.errors.map(({ code, path, message }) => `${code} ${path} ${message}`)
    : [];
}

const connection = (target: string): Promise<readonly string[]> =>
  findingsIn({ 'connections.yaml': `connections:\n  one:\n    ${target.replaceAll('\n', '\n    ')}\n` });
const tool = (executor: string, more = ''): Promise<readonly string[]> =>
  findingsIn({
    'connections.yaml': connections,
    'tools/t.yaml': `tools:\n  - name: t\n    tier: reversible\n${more}    executor:\n      ${executor.replaceAll('\n', '\n      ')}\n`,
  });

const rest = 'kind: rest\nbaseUrl: https://bank.example';
const cli = 'kind: cli\ncommand: ls';
const mcp = 'kind: mcp\nurl: https://bank.example';
const ofBank = 'kind: rest\nconnection: bank\nmethod: POST\npath: /pay';
const remedy = /ends with a line break, which would be a part of it: write `>-` for `>`, `\|-` for `\|`/;

describe('a text that ends with a line break does not load, with what to write', () => {
  const inConnection: Readonly<Record<string, readonly [target: string, at: string]>> = {
    'an address': ['kind: rest\nbaseUrl: >\n  https://bank.example', '/baseUrl'],
    "an MCP server's address": ['kind: mcp\nurl: >\n  https://bank.example', '/url'],
    'a header': [`${rest}\nheaders:\n  X-Team: >\n    payments`, '/headers/X-Team'],
    "an MCP server's header": [`${mcp}\nheaders:\n  X-Team: |\n    payments`, '/headers/X-Team'],
    'a reference': [`${rest}\nheaders:\n  Authorization: >\n    secret://token`, '/headers/Authorization'],
    'a command': ['kind: cli\ncommand: >\n  ls', '/command'],
    "an MCP server's command": ['kind: mcp\ncommand: >\n  ls', '/command'],
    'a folder': [`${cli}\nworkingDirectory: >\n  here`, '/workingDirectory'],
    'an argument': [`${cli}\nargs:\n  - >\n    -l`, '/args/0'],
    'a variable': [`${cli}\nenv:\n  LEVEL: >\n    2`, '/env/LEVEL'],
  };
  for (const [title, [target, at]] of Object.entries(inConnection))
    test(`${title} of a connection`, async () => {
      const [first, ...others] = await connection(target);
      assert.deepEqual(others, []);
      assert.match(first ?? '', new RegExp(`^CONNECTION_INVALID /connections/one${at} `));
      assert.match(first ?? '', remedy);
    });

  const inExecutor: Readonly<Record<string, readonly [executor: string, at: string]>> = {
    'a path': ['kind: rest\nconnection: bank\nmethod: POST\npath: >\n  /pay', '/path'],
    'a header': [`${ofBank}\nheaders:\n  X-Team: >\n    payments`, '/headers/X-Team'],
    'a parameter': [`${ofBank}\nquery:\n  team: >\n    payments`, '/query/team'],
    'an argument': ['kind: cli\nconnection: shell\nargs:\n  - >\n    -l', '/args/0'],
    'a tool': ['kind: mcp\nconnection: ledger\ntool: >\n  pay', '/tool'],
  };
  for (const [title, [executor, at]] of Object.entries(inExecutor))
    test(`${title} of an executor`, async () => {
      const [first, ...others] = await tool(executor);
      assert.deepEqual(others, []);
      assert.match(first ?? '', new RegExp(`^WRONG_VALUE /tools/0/executor${at} `));
      assert.match(first ?? '', remedy);
    });

  test('a text of several lines is a script, and loads where a program gets it', async () => {
    const script = '|\n    echo a\n    echo b\n';
    assert.deepEqual(await connection(`${cli}\nargs:\n  - ${script}env:\n  SCRIPT: ${script}`), []);
    const args = `kind: cli\nconnection: shell\nargs:\n  - ${script}`;
    assert.deepEqual(await tool(args), []);
  });

  test('a line break alone is what its author meant', async () => {
    assert.deepEqual(
      await connection(`${cli}\nargs: ["-d", "\\n"]\nenv: { IFS: " \\t\\n", OFS: "\\n" }`),
      [],
    );
    assert.deepEqual(await tool('kind: cli\nconnection: shell\nargs: ["-d", "\\n"]'), []);
    assert.deepEqual(await tool(`${ofBank}\nquery: { separator: "\\n" }`), []);
  });
});

describe('what no header, address or command can carry does not load', () => {
  const rows: Readonly<Record<string, readonly [target: string, said: string]>> = {
    'a line break within': [
      `${rest}\nheaders: { X-Team: "a\\nb" }`,
      '/headers/X-Team `headers/X-Team` holds U+000A',
    ],
    'a control character': [
      `${rest}\nheaders: { X-Team: "a\\x01" }`,
      '/headers/X-Team `headers/X-Team` holds U+0001',
    ],
    'one in an address': [
      'kind: rest\nbaseUrl: "https://bank.\\nexample"',
      '/baseUrl `baseUrl` holds U+000A',
    ],
    'one in a command': ['kind: cli\ncommand: "l\\x07s"', '/command `command` holds U+0007'],
    'a name with a blank': [`${rest}\nheaders: { "X Team": a }`, '/headers `X Team` is no header name'],
  };
  for (const [title, [target, said]] of Object.entries(rows))
    test(title, async () => {
      const [first, ...others] = await connection(target);
      assert.deepEqual(others, []);
      assert.ok(first?.startsWith(`CONNECTION_INVALID /connections/one${said}`), first);
    });

  test('a header and a path of an executor', async () => {
    const header = await tool(`${ofBank}\nheaders: { X-Team: "a\\nb" }`);
    assert.match(header.join(), /^WRONG_VALUE \/tools\/0\/executor\/headers\/X-Team `X-Team` holds U\+000A/);
    const path = await tool('kind: rest\nconnection: bank\nmethod: POST\npath: "/a\\tb\\x01"');
    assert.match(path.join(), /^WRONG_VALUE \/tools\/0\/executor\/path the path holds U\+0001/);
  });

  test('a tab in a header, and letters of any language, are sent', async () => {
    assert.deepEqual(await connection(`${rest}\nheaders: { X-Team: "a\\tZürich" }`), []);
  });
});

const secret = 'sk_live_51Habcdefgh';

describe('a credential that is written as it is does not load, and no message repeats it', () => {
  const names = [
    'Authorization',
    'Cookie',
    'X-Api-Key',
    'apikey',
    'X-Auth-Token',
    'X-Client-Secret',
    'Ocp-Apim-Subscription-Key',
  ];
  const variables = ['API_TOKEN', 'PGPASSWORD', 'MYSQL_PWD', 'SMTP_PASS', 'AWS_SECRET_ACCESS_KEY'];
  const assertRefused = (errors: readonly string[], at: string): void => {
    assert.equal(errors.length, 1, errors.join('\n'));
    assert.match(
      errors[0] ?? '',
      new RegExp(`^SECRET_REFERENCE ${at} .*\`secret://name\` or \`env://NAME\``),
    );
    assert.ok(!errors.join().includes(secret));
  };
  for (const name of names)
    test(`in the header ${name} of a connection, and of an executor`, async () => {
      for (const target of [rest, mcp])
        assertRefused(
          await connection(`${target}\nheaders: { ${name}: "Bearer ${secret}" }`),
          `/connections/one/headers/${name}`,
        );
      assertRefused(
        await tool(`${ofBank}\nheaders: { ${name}: "${secret}" }`),
        `/tools/0/executor/headers/${name}`,
      );
    });
  for (const name of variables)
    test(`in the variable ${name}`, async () => {
      assertRefused(
        await connection(`${cli}\nenv: { ${name}: "${secret}" }`),
        `/connections/one/env/${name}`,
      );
    });

  test('as the password of an address, in a variable and an argument', async () => {
    const address = `postgres://app:${secret}@db.example/app`;
    assertRefused(
      await connection(`${cli}\nenv: { DATABASE_URL: "${address}" }`),
      '/connections/one/env/DATABASE_URL',
    );
    assertRefused(await connection(`${cli}\nargs: ["--db=${address}"]`), '/connections/one/args/0');
  });

  test('several hosts hold no password, and neither does what follows a port', async () => {
    for (const address of [
      'jdbc:postgresql://h1:5432,h2:5432/db?user=app@tenant',
      'mongodb://h1:27017,h2:27017/db?appName=me@x',
      'jdbc:sqlserver://h:1433;user=me@srv',
      'postgres://app:%s@db/x',
    ]) {
      assert.deepEqual(await connection(`${cli}\nenv: { JDBC_URL: "${address}" }`), [], address);
      const both = `${address} mongodb://app:${secret}@h1:27017,h2:27017/db`;
      assertRefused(await connection(`${cli}\nargs: ["${both}"]`), '/connections/one/args/0');
    }
  });

  test('in time that the length of a text bounds: with the square of it this does not end', () => {
    const many = '://a:'.repeat(1_000_000);
    assert.equal(judgeCredential('X-A', many), 'none');
    assert.equal(withoutCredentials(many), many);
    assert.equal(withoutCredentials('see https://bot:a@b@h.example/x'), 'see https://…@h.example/x');
    for (const text of ['me@h.example', '://me', 'me@x://y', ''])
      assert.equal(withoutCredentials(text), text);
  });

  test("in a connection's own address, and in an address that messages go to", async () => {
    const errors = [
      ...(await connection(`kind: rest\nbaseUrl: https://bot:${secret}@bank.example`)),
      ...(await connection(`kind: mcp\nurl: https://${secret}@bank.example`)),
      ...(await connection(`kind: rest\nbaseUrl: https://bot:${secret}/x?y#z@bank.example`)),
      ...(await connection(`kind: rest\nbaseUrl: "https://bot:a/${secret}@bank.example"`)),
      ...(await findingsIn({
        'notifications.yaml': `publicUrl: https://bot:${secret}@us.example\nchannels: { a: { kind: webhook, url: 'https://bot:${secret}@h.example', secret: env://S } }`,
      })),
    ];
    assert.equal(errors.length, 6);
    assert.ok(!errors.join().includes(secret), errors.join());
  });

  test('a reference is no credential, nor is a text under another name, nor a value of the call', async () => {
    const headers = 'headers: { Authorization: secret://bank, X-Api-Key: env://KEY, X-Tokens-Left: "3" }';
    assert.deepEqual(await connection(`${rest}\n${headers}`), []);
    const env =
      'env: { API_TOKEN: env://T, MAX_TOKENS: "1000", PWD: /tmp, TOKEN_URL: https://login.example }';
    assert.deepEqual(await connection(`${cli}\n${env}`), []);
    const schema = '    inputSchema: { type: object, properties: { t: { type: string } } }\n';
    assert.deepEqual(await tool(`${ofBank}\nheaders: { X-User-Token: $.arguments.t }`, schema), []);
  });

  test('a text that was to be filled in is no credential: only the hole is reported, with what to write', async () => {
    for (const text of [
      '{$.arguments.t}',
      'Bearer {$.arguments.t}',
      '{{ $.arguments.t }}',
      'Bearer $.context.t',
    ])
      for (const name of ['X-Session-Token', 'Authorization']) {
        const errors = await tool(`${ofBank}\nheaders: { ${name}: "${text}" }`);
        assert.match(errors.join('\n'), /^PATH_INVALID [^\n]*: write `[^\n]* and nothing else$/, text);
      }
  });

  test('a credential beside such a text is reported too', async () => {
    for (const text of [
      `Bearer ${secret} {$.arguments.t}`,
      `{$.arguments.t} ${secret}`,
      `$t-$.context.${secret}`,
    ])
      for (const name of ['X-Session', 'Authorization']) {
        const errors = await tool(`${ofBank}\nheaders: { ${name}: "${text}" }`);
        assert.deepEqual(
          new Set(errors.map((finding) => finding.split(' ')[0])),
          new Set(['PATH_INVALID', 'SECRET_REFERENCE']),
          text,
        );
        assert.ok(!errors.join().includes(secret), errors.join());
      }
  });

  test('is recognized by how it begins, whatever its name is, and after a scheme, whatever it looks like', async () => {
    assertRefused(
      await connection(`${rest}\nheaders: { X-Auth: ${secret} }`),
      '/connections/one/headers/X-Auth',
    );
    assertRefused(await connection(`${cli}\nargs: ["--key=${secret}"]`), '/connections/one/args/0');
    assertRefused(
      await connection(`${rest}\nheaders: { Authorization: "ApiKey correct-horse" }`),
      '/connections/one/headers/Authorization',
    );
    for (const [name, text] of [
      ['DATABASE_URL', 'postgres://app:ge/heim1234@db/x'],
      ['AWS_ACCESS_KEY', 'AKIAIOSFODNN7EXAMPLE'],
    ])
      assertRefused(await connection(`${cli}\nenv: { ${name}: "${text}" }`), `/connections/one/env/${name}`);
  });

  test('a text that was meant as a reference does not load where a credential belongs, nor does a short credential under Authorization', async () => {
    const texts = [
      ...['env:TOKEN', 'env:/X', 'secret:deploy', '$TOKEN', 'Bearer $TOKEN', '${{ secrets.X }}'],
      ...['%TOKEN%', 'Bearer %TOKEN%', '$(cat /run/token)', '{{ vault.token }}', 'Pa$$w0rd123'],
      ...['{env:TOKEN}', '!secret bank', 'vault:kv/bank#token', 'aws-sm://bank', 'secretref://bank'],
      ...['<token>', 'Bearer <token>', 'Bearer {{TOKEN}}', 'Token vault:bank', '%{TOKEN}', '<%= token %>'],
    ];
    for (const name of ['Authorization', 'X-Api-Key'])
      for (const text of texts) {
        const [error, ...others] = await connection(`${rest}\nheaders: { ${name}: "${text}" }`);
        assert.deepEqual(others, []);
        const said = `SECRET_REFERENCE /connections/one/headers/${name} \`${name}\` holds a secret, or a reference that is not whole`;
        assert.ok(error?.startsWith(said), `${text}: ${error}`);
        if (!text.includes('{{'))
          assertRefused(
            await tool(`${ofBank}\nheaders: { ${name}: "${text}" }`),
            `/tools/0/executor/headers/${name}`,
          );
      }
    const [error] = await connection(`${cli}\nenv: { API_TOKEN: "env:TOKEN" }`);
    assert.match(error ?? '', /^SECRET_REFERENCE \/connections\/one\/env\/API_TOKEN /);
    for (const text of ['hunter2', 'Bearer x', 'Token x'])
      assertRefused(
        await connection(`${rest}\nheaders: { Authorization: "${text}" }`),
        '/connections/one/headers/Authorization',
      );
    assert.deepEqual(await connection(`${cli}\nenv: { LOG_FORMAT: "$remote_addr env:dev" }`), []);
    for (const header of ['X-Require-Authorization: "1"', 'X-Authorization-Mode: none'])
      assert.deepEqual(await connection(`${rest}\nheaders: { ${header} }`), []);
    assert.deepEqual(await connection(`${cli}\nenv: { DISABLE_AUTHORIZATION: "true" }`), []);
    assert.deepEqual(await connection(`${cli}\nargs: ["--authorization", "none"]`), []);
    // Some programs fill in `${NAME}` themselves.
    const filled = 'A_TOKEN: "{env:X}", B_TOKEN: "aws-sm://bank", C_TOKEN: "<token>"';
    assert.deepEqual(await connection(`${cli}\nenv: { ${filled} }`), []);
  });

  test('what may be a credential is a warning, and can be acknowledged', async () => {
    const told = async (target: string, more = ''): Promise<readonly string[]> => {
      const text = `${more}connections:\n  one:\n    ${target.replaceAll('\n', '\n    ')}\n`;
      const loaded = await loadFiles({ 'connections.yaml': text });
      assert.ok(loaded.status === 'loaded', JSON.stringify(loaded));
      return loaded.warnings.map(
        (finding) => `${finding.code} ${finding.path} ${finding.acknowledged ?? 'open'}`,
      );
    };
    const header = (text: string): string => `${rest}\nheaders: { X-Api-Key: "${text}" }`;
    const suspected = 'SECRET_SUSPECTED /connections/one/headers/X-Api-Key';
    for (const text of ['a7f4c2e9d1b8', 'correct-horse-battery', 'wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY'])
      assert.deepEqual(await told(header(text)), [`${suspected} open`], text);
    const accepted = 'acknowledge: [{ code: SECRET_SUSPECTED, reason: public }]\n';
    assert.deepEqual(await told(header('a7f4c2e9d1b8'), accepted), [`${suspected} public`]);
    const cookie = `${rest}\nheaders: { Cookie: consent=accepted2024; lang=en }`;
    assert.deepEqual(await told(cookie), ['SECRET_SUSPECTED /connections/one/headers/Cookie open']);
    const names = {
      SIGNING_KEY: 'arn:aws:kms:eu-west-1:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab',
      DB_SECRET: 'prod/app1/database-2024',
      GOOGLE_APPLICATION_CREDENTIALS: 'config/gcp-prod1.json',
      SSH_PRIVATE_KEY: 'keys/id_ed25519',
      AWS_ACCESS_KEY_ID: 'AKIAIOSFODNN7EXAMPLE',
    };
    const args = '["postgres://app:%s@db/x", "http://h:8080/x?to=me@example.com"]';
    assert.deepEqual(await told(`${cli}\nenv: ${JSON.stringify(names)}\nargs: ${args}`), []);
  });

  test('what may be a credential in a flow is refused where its environment refuses warnings, unless the flow was published before', async () => {
    const strict = 'environments: { dev: { refuseWarnings: true } }\n';
    const loaded = await loadFiles({ 'connections.yaml': connections, 'environments.yaml': strict });
    assert.ok(loaded.status === 'loaded', JSON.stringify(loaded));
    const { catalog } = loaded;
    const executor = 'tier: reversible\nexecutor: { kind: rest, connection: bank, method: PUT, path: /x';
    const schema = (o: string): string => `inputSchema: { type: object, properties: { o: ${o} }`;
    const unfit =
      '$defs: { o: { type: object, default: {}, required: [x], properties: { x: { type: string } } } } }';
    for (const [code, transition] of [
      ['SECRET_SUSPECTED', `${executor}, headers: { X-Api-Key: a7f4c2e9d1b8 } }`],
      ['DEFAULT_NOT_FILLED', `${executor} }\n${schema("{ $ref: '#/$defs/o' }")}, ${unfit}`],
      [
        'DEFAULT_NOT_FILLED',
        `${executor} }\n${schema('{ type: array, items: { type: string, default: a } }')} }`,
      ],
    ] as const) {
      const text = withTransition(transition);
      const checked = checkFlowText(text, { catalog });
      assert.ok(checked.status === 'invalid', transition);
      assert.deepEqual(
        checked.errors.map((finding) => finding.code),
        [code],
      );
      assert.equal(compilePublished(text, catalog).status, 'valid', transition);
    }
  });

  test('a text that says something else under the name of a credential is no credential', async () => {
    const headers = 'headers: { X-Atlassian-Token: no-check, X-CSRF-Token: Fetch, Cookie: lang=en }';
    assert.deepEqual(await connection(`${rest}\n${headers}`), []);
    assert.deepEqual(await tool(`${ofBank}\n${headers}`), []);
    const env =
      'env: { GOOGLE_APPLICATION_CREDENTIALS: /etc/gcp-2024/key.json, MYSQL_ALLOW_EMPTY_PASSWORD: "yes" }';
    const args = 'args: ["-c", "psql postgres://app:$PGPASSWORD@db/x"]';
    assert.deepEqual(await connection(`${cli}\n${env}\n${args}`), []);
  });
});

test('a flow that was published when less was an error goes on as it did, unless it is wrong besides', async () => {
  const loaded = await loadFiles({ 'connections.yaml': connections });
  assert.ok(loaded.status === 'loaded', JSON.stringify(loaded));
  const { catalog } = loaded;
  const xml = 'headers: { Content-Type: text/xml }';
  const form = 'headers: { Content-Type: application/x-www-form-urlencoded }';
  const executors = [
    'kind: rest\nconnection: bank\nmethod: POST\npath: >\n  /pay',
    `${ofBank}\nheaders:\n  X-Team: >\n    payments`,
    `${ofBank}\nheaders: { X-Api-Key: ${secret} }`,
    `${ofBank}\nquery:\n  team: >\n    payments`,
    `${ofBank}\n${xml}\nbody: { a: b }`,
    `${ofBank}\n${form}\nbody: { a: { b: c } }`,
    'kind: mcp\nconnection: ledger\ntool: >\n  pay',
    'kind: cli\nconnection: shell\nargs:\n  - >\n    -l',
  ];
  for (const executor of executors) {
    const text = withTransition(`tier: reversible\nexecutor:\n  ${executor.replaceAll('\n', '\n  ')}`);
    assert.equal(checkFlowText(text, { catalog }).status, 'invalid', executor);
    const published = compilePublished(text, catalog);
    assert.ok(published.status === 'valid', `${executor} ${JSON.stringify(published)}`);
    const wrong = compilePublished(text.replace(/connection: \w+/, 'connection: gone'), catalog);
    assert.equal(wrong.status, 'invalid', executor);
  }
});
