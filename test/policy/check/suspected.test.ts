import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { isSuspectAddress, judgeCredential } from '../../../src/policy/check/credentials.js';
import { draw } from '../../../testing/samples.js';
import { loadFiles } from '../load.js';

// Credentials in connections, as configurations of MCP servers and programs have them, are reported when the folder is read.

/** Codes and paths of the findings in these files; errors alone where they do not load. */
async function findingsIn(files: Readonly<Record<string, string>>): Promise<readonly string[]> {
  const loaded = await loadFiles(files);
  const all = loaded.status === 'invalid' ? loaded.errors : loaded.warnings;
  return all
    .filter(({ code }) => code.startsWith('SECRET_'))
    .map(({ code, path, message }) => `${code} ${path} ${message}`);
}
const connection = (target: object): Promise<readonly string[]> =>
  findingsIn({ 'connections.yaml': JSON.stringify({ connections: { one: target } }) });
const hex = 'a7f4c2e9d1b80365'.repeat(4);
/** A key as Azure makes it for a function. */
const functionKey = 'Zq7kxLm9Tr4wvPq2Zq7kxLm9Tr4wvPq2Zq7kxLm9AzFuTr4wvPq2==';

describe('an argument that may be a credential is told', () => {
  const suspected: readonly (readonly [args: readonly string[], at: number])[] = [
    [['mcp-remote', 'https://x.example/mcp', '--header', `Authorization: Bearer ${hex}`], 3],
    [['mcp-remote', 'https://x.example/mcp', '--header', `X-Api-Key:${hex}`], 3],
    [['run', '-e', `JIRA_API_TOKEN=${hex.slice(0, 32)}`, 'img'], 2],
    [['run', `--env=JIRA_API_TOKEN=${hex.slice(0, 32)}`, 'img'], 1],
    [[`--api-key=${hex}`], 0],
    [['--api-key', hex], 1],
    [['-y', '-token', hex], 2],
    [['https://mcp.tavily.example/?tavilyApiKey=tvly-dev-8Hk2mQ'], 0],
    [['--db', 'jdbc:postgresql://h/db?password=Zq7kxLm9&user=app'], 1],
    [['--db', 'host=h user=app password=Zq7kxLm9'], 1],
    [[`{"apiKey": "${hex}"}`], 0],
    [[`{"Authorization": "Bearer ${hex}"}`], 0],
    [[`--env=HEADERS={\\"Authorization\\": \\"Bearer ${hex}\\"}`], 0],
    [['--db', 'password=Zq7kxLm9 host=h user=app'], 1],
    [['mcp-remote', `https://x.example/sse?code=${functionKey}`], 1],
  ];
  for (const [args, at] of suspected)
    test(args.join(' '), async () => {
      const [only = '', ...more] = await connection({ kind: 'cli', command: 'npx', args });
      assert.deepEqual(more, []);
      assert.match(
        only,
        new RegExp(`^SECRET_SUSPECTED /connections/one/args/${at} .*hand it over in \`env\`.*acknowledge`),
      );
    });

  for (const text of [
    'sk-ant-api03-Zq7kxLm9Zq',
    'sk-proj-Zq7kxLm9Zq',
    'https://hooks.slack.com/services/T00000000/B0/x',
  ])
    test(`${text}: it does not load`, async () => {
      const [only = ''] = await connection({ kind: 'cli', command: 'npx', args: [`--x=${text}`] });
      assert.match(only, /^SECRET_REFERENCE \/connections\/one\/args\/0 /);
    });

  test('but no option, no value that is filled in, no path, no word', async () => {
    for (const args of [
      ['--token', '--verbose-as-can-be-2024'],
      ['--header', 'Authorization: Bearer ${TOKEN}'],
      ['--header', 'Authorization:${AUTH_HEADER}'],
      ['{"Authorization": "Bearer ${TOKEN}"}', 'docs?path=Docs/Invoices2024/AcmeCompanyReportsOfTheYear'],
      ['--api-key=$API_KEY', '--password-file=/run/secrets/db1', '--token', '/run/secrets/token1'],
      [
        '--password',
        'env',
        '--max-tokens=100000000000000000000',
        '--key=accounts-2024',
        '-e',
        'TOKEN_URL=https://login.example/oauth2',
      ],
      [hex, 'me@example.com', 'sha256:0123456789abcdef', 'user=finance-department'],
    ])
      assert.deepEqual(await connection({ kind: 'cli', command: 'npx', args }), [], args.join(' '));
  });

  test('nor is the digest of an image a password: such a connection loads', async () => {
    for (const image of ['alpine:3.19', 'alpine:v3'])
      for (const digest of [`sha256:${hex}`, `sha512:${hex}${hex}`])
        assert.deepEqual(
          await connection({ kind: 'cli', command: 'skopeo', args: [`docker://${image}@${digest}`] }),
          [],
        );
    const args = ['amqp://b1:5672,amqp://guest@b2'];
    assert.deepEqual(await connection({ kind: 'cli', command: 'x', args }), []);
    const [refused] = await connection({
      kind: 'cli',
      command: 'x',
      args: ['amqp://app:Zq7kxLm9@sha256.example'],
    });
    assert.match(refused ?? '', /^SECRET_REFERENCE /);
  });
});

test('a variable or a header is told by its name, and by what a list in it names', async () => {
  const env = {
    ADO_PAT: hex.slice(0, 52),
    CONNECTION_STRING: 'Server=tcp:db,1433;User ID=app;Password=Zq7kxLm9',
    STORAGE: `DefaultEndpointsProtocol=https;AccountName=acme;AccountKey=${hex.slice(0, 40)}==`,
    JDBC_URL: 'jdbc:sqlserver://h:1433;user=sa;password=Zq7kxLm9',
    OPENAPI_MCP_HEADERS: `{"Authorization": "Bearer ntn_${hex.slice(0, 32)}", "Notion-Version": "2022-06-28"}`,
    OTEL_EXPORTER_OTLP_HEADERS: `authorization=Bearer ${hex.slice(0, 32)}`,
    MAPS: 'https://maps.example/api?key=AIzaSyZq7kxLm9Tr4wvPq2Zq7kxLm9Tr4wvPq',
    BUS: `Endpoint=sb://acme.example/;SharedAccessSignature=sv=1&sig=Zq7kxLm9%2Fx`,
    PATTERN: 'a-compatible-2024',
    DATABASE: 'Server=db;Database=invoices2024;Encrypt=true',
    LIBPQ: 'host=h password=env user=accounts2024',
    PAGE: 'https://x.example/?tenant=0f8fad5b-d9cb-469f-a165-70867728950e&next=https%3A%2F%2Fx.example%2FInvoices2024',
  };
  const found = await connection({ kind: 'cli', command: 'x', env });
  const at = [
    'ADO_PAT',
    'CONNECTION_STRING',
    'STORAGE',
    'JDBC_URL',
    'BUS',
    'MAPS',
    'OPENAPI_MCP_HEADERS',
    'OTEL_EXPORTER_OTLP_HEADERS',
  ];
  assert.deepEqual(
    found.map((finding) => finding.split(' ').slice(0, 2).join(' ')).sort(),
    at.map((name) => `SECRET_SUSPECTED /connections/one/env/${name}`).sort(),
  );
  const headers = { 'DD-APPLICATION-KEY': hex.slice(0, 40), 'X-Account': 'accounts2024' };
  const [only = '', ...more] = await connection({ kind: 'rest', baseUrl: 'https://x.example', headers });
  assert.deepEqual(more, []);
  assert.match(only, /^SECRET_SUSPECTED \/connections\/one\/headers\/DD-APPLICATION-KEY /);
});

describe('an address that may hold a credential is told, and loads', () => {
  test('of a connection, whose headers are the place for it', async () => {
    const url = 'https://mcp.tavily.example/mcp/?tavilyApiKey=tvly-dev-8Hk2mQ';
    const [only = '', ...more] = await connection({ kind: 'mcp', url });
    assert.deepEqual(more, []);
    assert.match(
      only,
      /^SECRET_SUSPECTED \/connections\/one\/url .*approvers see it too: have it in `headers`/,
    );
    assert.deepEqual(await connection({ kind: 'mcp', url: 'https://x.example/mcp?toolsets=issues2024' }), []);
    assert.deepEqual(await connection({ kind: 'mcp', url: 'env://URL' }), []);
  });

  test('of a webhook, which may be a reference', async () => {
    const hook = (url: string): Promise<readonly string[]> =>
      findingsIn({
        'notifications.yaml': JSON.stringify({
          channels: { a: { kind: 'webhook', url, secret: 'env://S' } },
        }),
      });
    for (const url of [
      'https://hooks.slack.com/services/T00000000/B00000000/Zq7kxLm9',
      'https://prod.logic.example/workflows/a/triggers/manual?sp=%2Frun&sv=1.0&sig=Zq7kxLm9_x',
    ]) {
      const [only = '', ...more] = await hook(url);
      assert.deepEqual(more, []);
      assert.match(only, /^SECRET_SUSPECTED \/channels\/a\/url .*`secret:\/\/name`/);
      assert.ok(!only.includes('Zq7kxLm9'));
    }
    assert.deepEqual(await hook('https://h.example/in?team=finance2024'), []);
    assert.deepEqual(await hook('secret://hook'), []);
  });
});

test('a long text is looked through once: with the square of it this does not end', () => {
  const begun = ['token=', 'a:', '-', 'a.', 'a"', 'token: x ', 'a', ' ', '=', "password='", 'token= '];
  for (const text of draw([...begun, '?a=', '&a=b', 'token=x y', 'token=\\"', ' %a%', '$ '], 4))
    for (const long of [text.repeat(50_000), `token=${text.repeat(50_000)}`]) {
      assert.notEqual(judgeCredential(null, long), 'credential');
      assert.equal(isSuspectAddress(long), judgeCredential(null, long) !== 'none');
    }
});
