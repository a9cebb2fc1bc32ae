// What is told of a target's words is masked before it is cut: a secret that stands across the cut leaves no half behind.
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { deflateRawSync, gzipSync } from 'node:zlib';
import { cli } from '../../../src/executors/cli/driver.js';
import { makeMask } from '../../../src/executors/masking/mask.js';
import { closeExecutors, pointerOf, runCall } from '../../../src/executors/index.js';
import type { ExecutorResult } from '../../../src/executors/types.js';
import type { Json } from '../../../src/model/values/json.js';
import { makeTarget, type Target, type TargetAnswer } from '../../activities/execute/target.js';
import { askWithToken, childWithToken, contextWith } from '../world.js';

const token = `Tok-${'0123456789abcdef'.repeat(4)}`;
const references = { env: { TEST_TOKEN: token }, secretsDirectory: null };
let target: Target;
before(async () => {
  target = await makeTarget();
});
after(async () => {
  await closeExecutors();
  await target.close();
});

const ask = (answer: TargetAnswer): Promise<ExecutorResult> => askWithToken(target, answer, { references });
const child = childWithToken;
const run = (script: string): Promise<ExecutorResult> =>
  runCall(
    { kind: 'cli', connection: 'c', args: [], stdin: null },
    contextWith({ kind: 'cli', ...child(script) }, { references }),
  );
test('of what a failed command wrote, each text is masked in a turn of its own', async () => {
  let hasOther = true;
  const pieces: boolean[] = [];
  const tell = (text: string): string => {
    pieces.push(hasOther);
    hasOther = false;
    setImmediate(() => (hasOther = true));
    return text;
  };
  const script = 'console.log("said"); console.error("why"); process.exitCode = 3';
  const result = await cli.run(
    { kind: 'cli', connection: 'c', args: [], stdin: null },
    {
      ...contextWith(null),
      connection: { kind: 'cli', ...child(script), env: {} },
      excerpts: { start: tell, starts: (first, second) => [tell(first), tell(second)], end: tell },
    },
  );
  assert.ok(result.status === 'failed', JSON.stringify(result));
  assert.deepEqual(pieces, [true, true, true]);
});

/** An MCP server of which `call` is what a call makes it do. */
const serve = (call: string, given = { references }): Promise<ExecutorResult> =>
  runCall(
    { kind: 'mcp', connection: 'c', tool: 't', arguments: {} },
    contextWith(
      {
        kind: 'mcp',
        transport: {
          kind: 'stdio',
          ...child(`
const { TOKEN } = process.env;
require('node:readline').createInterface({ input: process.stdin }).on('line', (line) => {
  const { id, method, params } = JSON.parse(line);
  const say = (result) => console.log(JSON.stringify({ jsonrpc: '2.0', id, result }));
  if (method === 'initialize') say({ protocolVersion: params.protocolVersion, capabilities: { tools: {} }, serverInfo: { name: 's', version: '1' } });
  else if (method === 'tools/call') { ${call} }
});`),
        },
      },
      given,
    ),
  );

/** No eight characters of the secret that follow each other, in whatever case. */
function assertNothingOf(secret: string, result: ExecutorResult): void {
  assert.equal(result.status, 'failed');
  const said = JSON.stringify(result).toLowerCase();
  assert.match(said, /\[redacted\]/);
  for (let at = 0; at + 8 <= secret.length; at += 1) {
    const piece = secret.slice(at, at + 8).toLowerCase();
    assert.ok(!said.includes(piece), `\`${piece}\` in ${said.slice(0, 500)}`);
  }
}

describe('a secret across the place where a text is cut leaves nothing of it', () => {
  const bad = Buffer.from([0xff, 0x80]);
  const json = 'application/json';
  const ways: readonly (readonly [string, () => Promise<ExecutorResult>])[] = [
    ['a charset', () => ask({ headers: { 'content-type': `${json}; charset=${token}` }, body: bad })],
    ['a content encoding', () => ask({ headers: { 'content-encoding': token } })],
    [
      'the body of a failure',
      () => ask({ status: 400, headers: { 'content-type': 'text/plain' }, body: 'x'.repeat(16_360) + token }),
    ],
    ['the body of a failure that is no JSON', () => ask({ status: 400, body: 'x'.repeat(16_360) + token })],
    [
      'a command’s output',
      () => run("process.stdout.write('x'.repeat(16360) + process.env.TOKEN); process.exitCode = 1"),
    ],
    [
      'a command’s errors',
      () => run("console.error(process.env.TOKEN + 'x'.repeat(16360)); process.exitCode = 1"),
    ],
    [
      'a command’s output that ends in the middle of it',
      () => run("process.stdout.write('login with ' + process.env.TOKEN.slice(0, 40)); process.exitCode = 1"),
    ],
    [
      'a command’s errors that end in the middle of it',
      () => run("process.stderr.write('login with ' + process.env.TOKEN.slice(0, 40)); process.exitCode = 1"),
    ],
    [
      'the body of a failure that ends in the middle of it',
      () => ask({ status: 400, body: `login with ${token.slice(0, 40)}` }),
    ],
    [
      'an MCP server’s errors that end in the middle of it',
      () => serve("process.stderr.write('login with ' + TOKEN.slice(0, 40)); process.exit(1)"),
    ],
    ['the kind of a block', () => serve('say({ content: [{ type: TOKEN }] })')],
    [
      'an MCP server’s errors, in pieces',
      () =>
        serve(
          'for (let at = 0; at < 1200; at += 1) process.stderr.write(TOKEN.slice(9) + TOKEN.slice(0, 9)); process.stderr.write(TOKEN.slice(9)); process.exit(1)',
        ),
    ],
  ];
  for (const [what, way] of ways) test(`in ${what}`, async () => assertNothingOf(token, await way()));

  test('in a text that its writer could not end', () => {
    const told = makeMask([token]);
    for (let to = 4; to < token.length; to += 1)
      for (const tell of [told.start, told.end])
        assert.equal(tell(`x${token}${token.slice(0, to)}`, 500), 'x[redacted][redacted]');
    for (const tell of [told.start, told.end]) assert.equal(tell('plain words', 500), 'plain words');
  });

  test('and a text of nothing, or of next to nothing, stays as it is', () => {
    for (const text of ['', 'a', 'abc'])
      for (const kept of ['whole', 'tail'] as const)
        assert.equal(makeMask(['abcdefgh-secret']).end(text, 100, '', kept), text);
  });

  test('in a text of which only the end was kept', () => {
    const told = makeMask([token]);
    for (let from = 0; from < token.length - 4; from += 1) {
      const kept = `${token.slice(from)}${token}x`;
      assert.equal(told.end(kept, 500, '...', 'tail'), '[redacted][redacted]x');
    }
    assert.equal(told.end('plain words', 500, '...', 'tail'), 'plain words');
  });
});

describe('a secret in bytes that are not UTF-8 is known in', () => {
  const secret = 'Zürich-Schlüssel-7';
  const latin = Buffer.from(`bad ${secret} ÿ`, 'latin1');
  const given = { references: { env: { TEST_TOKEN: secret }, secretsDirectory: null } };
  const runs = (script: string): Promise<ExecutorResult> =>
    runCall(
      { kind: 'cli', connection: 'c', args: [], stdin: null },
      contextWith({ kind: 'cli', ...child(script) }, given),
    );
  const writes = (stream: string): string =>
    `process.${stream}.write(Buffer.from('bad ' + process.env.TOKEN + ' ÿ', 'latin1'));`;
  const asks = (status: number, type: string): Promise<ExecutorResult> =>
    askWithToken(target, { status, headers: { 'content-type': type }, body: latin }, given);
  const ways: readonly (readonly [string, () => Promise<ExecutorResult>])[] = [
    ['a command’s errors', () => runs(writes('stderr'))],
    ['a failed command’s errors', () => runs(`${writes('stderr')} process.exitCode = 1`)],
    ['a failed command’s output', () => runs(`${writes('stdout')} process.exitCode = 1`)],
    ['the body of a failure', () => asks(400, 'text/plain')],
    ['the body of a failure in a charset that nobody knows', () => asks(400, 'text/plain; charset=none')],
    ['the body of a failure that says that it is UTF-8', () => asks(400, 'text/plain; charset=utf-8')],
    [
      'an MCP server’s errors',
      () =>
        serve(
          "process.stderr.write(Buffer.from('bad Zürich-Schlüssel-7 ÿ', 'latin1')); process.exit(1)",
          given,
        ),
    ],
  ];
  for (const [what, way] of ways)
    test(what, async () => {
      const said = JSON.stringify(await way());
      assert.match(said, /bad \[redacted\] ÿ/);
      assert.doesNotMatch(said, /rich-Schl|\ufffd/);
    });
});

test('a failure’s body that is too long is told as its text, not as its packing', async () => {
  const { gzipSync } = await import('node:zlib');
  const body = gzipSync(JSON.stringify({ why: 'x'.repeat(20_000) }));
  const result = await ask({ status: 400, headers: { 'content-encoding': 'gzip' }, body });
  assert.ok(result.status === 'failed');
  const shown = (result.response as { body: string }).body;
  assert.match(shown, /^\{"why":"x+$/);
  assert.equal(shown.length, 16_384);
});

describe('a secret is known', () => {
  const bytes = Buffer.from(token);
  const wrapped = (text: string): string => text.replace(/(.{20})/g, '$1\n');
  const writings: readonly (readonly [string, string])[] = [
    ['in capitals', token.toUpperCase()],
    ['in small letters', token.toLowerCase()],
    ['in hex of mixed case', bytes.toString('hex').replace(/[a-f]/, (letter) => letter.toUpperCase())],
    ['broken into lines', wrapped(token)],
    ['in base64 that is broken into lines', wrapped(Buffer.from(`ab${token}`).toString('base64'))],
    ['in base64 with lines, in JSON in a text', JSON.stringify({ a: wrapped(bytes.toString('base64')) })],
    ['percent-encoded twice', [...bytes].map((byte) => `%25${byte.toString(16)}`).join('')],
    ['with a null after each character', [...token].join('\0')],
  ];
  for (const [how, text] of writings)
    test(how, () => {
      const masked = makeMask([token]).text(text);
      assert.match(masked, /\[redacted\]/);
      assert.ok(!masked.includes(text.slice(0, 10)), masked);
    });

  const parts: readonly (readonly [string, string, string])[] = [
    ['as the password of an address', 'postgres://app:hun%2Fter2222@db:5432/x', 'login hun/ter2222 failed'],
    ['as it is written there', 'postgres://app:hun%2Fter2222@db:5432/x', 'login hun%2Fter2222 failed'],
    ['as a value of a JSON credential', '{"user":"invoices","password":"hunter2222"}', 'not hunter2222'],
    [
      'as a line of a key in a JSON credential',
      JSON.stringify({ private_key: `-----BEGIN-----\nMIIEvQIBADANBgkq\n-----END-----` }),
      'bad MIIEvQIBADANBgkq',
    ],
    [
      'as a value of a JSON credential in which a name comes again',
      '{"note":"a","note":"b","keys":[{"id":1},"hunter \\u0032222"]}',
      'not hunter 2222',
    ],
    [
      'as the value that another one of its name replaces',
      '{"password":"hunter2222","password":"hunter3333"}',
      'not hunter2222',
    ],
    [
      'as a value of a JSON credential that is deep',
      `${'{"a":['.repeat(20_000)}{"password":"hunter 2222"}${']}'.repeat(20_000)}`,
      'not hunter 2222',
    ],
    [
      'as a number of a JSON credential that no double holds',
      '{"id":12345678901234567891,"id":1}',
      'not 12345678901234567891',
    ],
  ];
  for (const [how, secret, text] of parts)
    test(how, () => assert.match(makeMask([secret]).text(text), /^(login|not|bad) \[redacted\]( failed)?$/));

  const key = ['MIIEpAIBAAKCAQEA0000aaaabbbbcccc', 'Zm9vYmFyYmF6cXV4cXV1eA=='];
  const pem = (label: string, ...lines: string[]): string =>
    [`-----BEGIN ${label}-----`, ...lines, ...key, `-----END ${label}-----`].join('\n');
  const settings = 'Server=erp;Initial Catalog=production;User ID=finance;';
  const encrypted = ['Proc-Type: 4,ENCRYPTED', 'DEK-Info: AES-128-CBC,0123456789ABCDEF', ''];
  const mixed: readonly (readonly [string, string, readonly string[], string])[] = [
    ['a key in PEM', pem('RSA PRIVATE KEY'), key, 'a private KEY of RSA, isPrivate'],
    ['a key in PEM with CRLF', pem('PRIVATE KEY').replaceAll('\n', '\r\n'), key, 'Private dinner'],
    ['a key in PEM in one line', pem('PRIVATE KEY').replaceAll('\n', ' '), key, 'Private dinner'],
    ['an encrypted key in PEM', pem('RSA PRIVATE KEY', ...encrypted), key, 'encrypted PRIVATE data'],
    [
      'a key in a JSON credential',
      JSON.stringify({ k: pem('PRIVATE KEY') }),
      key,
      '-----BEGIN PRIVATE KEY-----',
    ],
    [
      'a connection string',
      `${settings}Password=hunter2222`,
      ['hunter2222'],
      'finance runs production, an Initial Catalog',
    ],
    [
      'a connection string with quotes and a long value',
      `${settings}Pwd="hunter; 2222";Extra=0123456789abcdefg`,
      ['0123456789abcdefg'],
      'erp',
    ],
    [
      'a connection string whose password has words',
      `${settings}Password=correct horse;`,
      ['correct horse', 'correct'],
      'finance runs production',
    ],
    [
      'an address among settings',
      'Host=erp;User=finance;Url=postgres://app:hunter2222@db;Token=tok-4711',
      ['hunter2222', 'tok-4711'],
      'finance runs production',
    ],
    [
      'settings of which no name is one of a secret',
      'mode=finance;x=hunter2222',
      ['hunter2222', 'finance'],
      '',
    ],
    [
      'a header with a key and another value',
      'key="hunter2222"; theme=finance',
      ['hunter2222', 'finance'],
      'theme',
    ],
    ['words that name nothing', 'Bearer hunter2222 correct', ['hunter2222', 'correct'], 'Bearer'],
    ['base64 with a name of its own', 'tokenQ== hunter2222', ['tokenQ==', 'hunter2222'], 'tokens'],
    [
      'a connection string with separators in a quoted password',
      'Server=erp,1433;Database=fin;User ID=finance;Password="Zq7;kx=Lm9pQw2";Encrypt=true',
      ['Zq7;kx=Lm9pQw2'],
      'finance of erp,1433 and fin',
    ],
    [
      'a connection string with separators in single quotes, and a blank after them',
      `${settings}Password='Zq7;kx=Lm9pQw2' ; Encrypt=true`,
      ['Zq7;kx=Lm9pQw2'],
      'finance runs production',
    ],
    [
      'a connection string with a value whose name nobody knows',
      'Server=erp;User ID=finance;Password=abcdefgh1;Auth=Zq7kxLm9pQ;PIN=48291377',
      ['abcdefgh1', 'Zq7kxLm9pQ', '48291377'],
      'finance of erp',
    ],
    [
      'a connection string in which no name says what is the secret',
      'Server=erp;User ID=finance;Foo=Zq7kxLm9',
      ['Zq7kxLm9'],
      'finance of erp',
    ],
    [
      'a connection string with words under a name that nobody knows',
      'Server=erp;User ID=finance;Foo=alpha hunter2222',
      ['hunter2222'],
      'finance of erp',
    ],
    [
      'a cookie with the name of a server',
      'server=web1; sid=abcdef1234; auth=Zq7kxLm9pQ',
      ['abcdef1234', 'Zq7kxLm9pQ'],
      'web1',
    ],
    ['settings with none but known names', 'Server=erp;Database=finance', ['finance'], 'a server'],
    [
      'a connection string of ODBC',
      'Driver={ODBC Driver 18 for SQL Server};Server=tcp:erp,1433;Uid=finance;Pwd={Zq7kxLm9pQw2};Encrypt=yes',
      ['Zq7kxLm9pQw2'],
      'finance of tcp:erp,1433',
    ],
    [
      'a connection string of ODBC with separators and a brace in the password',
      'Driver={ODBC};Server=erp;Uid=finance;Pwd={Zq7;kx}}Lm=9};Encrypt=yes',
      ['Zq7;kx}Lm=9'],
      'finance',
    ],
    [
      'a connection string with quotes in a quoted password',
      'Server=erp;User ID=finance;Password="Zq7kx""Lm9pQw2"',
      ['Zq7kx"Lm9pQw2'],
      'finance',
    ],
    [
      'a connection string with a quote behind a backslash',
      'Server=erp;User ID=finance;Password="Zq7;kx\\"Lm9"',
      ['Zq7;kx"Lm9'],
      'finance',
    ],
    [
      'a connection string with a quote that does not end',
      'Server=erp;User ID=finance;Password="Zq7kxLm9;Encrypt=true',
      ['Zq7kxLm9'],
      'finance',
    ],
    [
      'a connection string of libpq',
      "host=erp user=fin password='Zq7 kxLm9p'",
      ['Zq7 kxLm9p', 'kxLm9p'],
      'erp fin',
    ],
    [
      'a connection string of libpq with a quote in the password',
      "host=erp user=fin password='Zq7\\'s kxLm9' sslmode=require",
      ["Zq7's kxLm9"],
      'erp fin',
    ],
    [
      'JSON with more behind it',
      '{"user":"finance","password":"Zq7 kxLm9"} {"pin":"48291377"}',
      ['Zq7 kxLm9', '48291377'],
      'the user',
    ],
    ['a basic credential of more than ASCII', 'Basic ZmluYW5jZTpaw7xyaWNoLTc=', ['Zürich-7'], 'Basic'],
    [
      'a list with a value of short words, and more than settings',
      'Server=erp;Password=abcd efgh ijkl;fast',
      ['abcd efgh ijkl'],
      'abcd or efgh',
    ],
    [
      'a list in a list, with a blank in its password',
      'Server=erp;Extended Properties="Excel;Pwd=Zq7 kx9"',
      ['Zq7 kx9'],
      'a server',
    ],
    ['lines with a value of short words', 'user=fin\npassword=Zq7 kx9\nhost=erp', ['Zq7 kx9'], 'host'],
    [
      'a list of addresses with separators in their passwords',
      'amqps://fin:Zq7kx9,2@mq1,amqps://fin:Yq7kx9;2@mq2',
      ['Zq7kx9,2', 'Yq7kx9;2'],
      'fin',
    ],
    ['a user and a password', 'finance:Zq7kxLm9', ['Zq7kxLm9'], 'finance'],
    ['a user and a password before a host', 'finance/Zq7kxLm9@erp:1521/fin', ['Zq7kxLm9'], 'finance'],
    [
      'a key in PEM in one line with the breaks of a program',
      pem('PRIVATE KEY').replaceAll('\n', '\\n'),
      key,
      'Private dinner',
    ],
    ['a list in a list', 'Server=erp;Other="host=erp password=Zq7kxLm9"', ['Zq7kxLm9'], 'a server'],
    [
      'an address with separators in the password',
      'amqps://fin:Zq7,kxLm9;pQw2@mq.example/fin',
      ['Zq7,kxLm9;pQw2'],
      'mq.example of fin',
    ],
    [
      'an address with a slash and a blank in the password',
      'amqps://fin:Zq7/kx Lm9?pQw2@mq.example/fin',
      ['Zq7/kx Lm9?pQw2'],
      'mq.example of fin',
    ],
    [
      'an address with separators in the password, beside others',
      'Bearer hunter2222 url=amqps://fin:Zq7,kxLm9;pQw2@mq.example/fin',
      ['Zq7,kxLm9;pQw2', 'hunter2222'],
      'mq.example of fin',
    ],
    [
      'an address with a user that is the token',
      'https://Zq7kxLm9pQ@example.com/repository.git',
      ['Zq7kxLm9pQ'],
      'example.com',
    ],
    [
      'an address with a known setting',
      'postgres://finance:Zq7kxLm9@db:5432/production?sslmode=require&target_session_attrs=primary',
      ['Zq7kxLm9'],
      'finance and production require the primary',
    ],
    [
      'an address of a driver, with settings',
      'jdbc:postgresql://db:5432/fin?sslmode=require&user=finance&password=Zq7kx%2BLm9',
      ['Zq7kx+Lm9', 'Zq7kx%2BLm9'],
      'finance has to require fin',
    ],
    [
      'an address with a token in its path',
      'https://hooks.example.com/services/XyZabc123456789',
      ['XyZabc123456789'],
      'services of hooks.example.com',
    ],
  ];
  for (const [what, secret, own, others] of mixed)
    test(`in ${what}, which says other things too`, () => {
      const { text } = makeMask([secret]);
      assert.equal(text(`say ${secret}`), 'say [redacted]');
      for (const part of own) assert.equal(text(`say ${part}.`), 'say [redacted].');
      assert.equal(text(others), others);
    });

  const named: readonly (readonly [string, Json, readonly string[], string])[] = [
    [
      'the path of an address',
      { webhook: 'https://hooks.example.com/services/XyZabc123456789' },
      ['XyZabc123456789', 'https://hooks.example.com/services/XyZabc123456789'],
      'services of hooks.example.com',
    ],
    [
      'the path of an address that has a known name',
      { url: 'https://hooks.example.com/services/XyZabc123456789' },
      ['XyZabc123456789'],
      'services of https://hooks.example.com/',
    ],
    [
      'the signature of an address',
      { sas: 'https://erp.example.com/files?sv=2022-11-02&sig=Zq7kx%2BLm9%3D' },
      ['Zq7kx+Lm9=', 'Zq7kx%2BLm9%3D'],
      'erp.example.com 2022-11-02',
    ],
    ['a text of digits', { pin: '48291377' }, ['48291377'], 'pin'],
    ['a number', { pin: 48291377 }, ['48291377'], 'pin'],
    ['a value of a list', { backup: ['Zq7kxLm9', 'Zq8kxLm9'] }, ['Zq7kxLm9', 'Zq8kxLm9'], 'backup'],
    ['a value without a name', ['Zq7kxLm9'], ['Zq7kxLm9'], 'nothing'],
    ['a header', { authorization: 'Bearer Zq7kxLm9' }, ['Bearer Zq7kxLm9', 'Zq7kxLm9'], 'Bearer'],
    [
      'a connection string',
      { connection: 'Server=erp;User ID=finance;Password="Zq7;kxLm9"' },
      ['Zq7;kxLm9'],
      'finance',
    ],
    ['a connection string of libpq', { dsn: "host=erp password='Zq7 kxLm9'" }, ['Zq7 kxLm9'], 'dsn'],
    [
      'a JSON credential that is its text',
      { account: JSON.stringify({ type: 'service', pin: 'Zq7kxLm9' }) },
      ['Zq7kxLm9'],
      'service',
    ],
    [
      'what of a service account is its secret',
      {
        type: 'service_account',
        project_id: 'production',
        private_key_id: 'Zq7kxLm9',
        client_email: 'fin@example.com',
        client_id: '10234567',
        auth_uri: 'https://accounts.example.com/o/oauth2/auth',
        token_uri: 'https://login.example.com/2c1f0aa4-9d3e-4b57/token',
      },
      ['Zq7kxLm9'],
      'service_account of production, 10234567 or fin@example.com, at https://accounts.example.com/o/oauth2/auth, https://login.example.com/2c1f0aa4-9d3e-4b57/token',
    ],
  ];
  for (const [what, credential, own, others] of named)
    test(`of a JSON credential ${what}, and no setting`, () => {
      const { text } = makeMask([JSON.stringify(credential)]);
      for (const part of own) assert.equal(text(`say ${part}.`), 'say [redacted].');
      assert.equal(text(others), others);
    });

  test('and a setting beside it is none', () => {
    const { text } = makeMask([
      '{ "user": "invoices", "uri": "https://auth.example.com/token", "password": "hunter2222" }',
    ]);
    assert.equal(text('invoices of auth.example.com'), 'invoices of auth.example.com');
  });
});

test('a number that no double holds is named where it stands when its name was masked, as another was', async () => {
  const result = await run(
    'const { TOKEN } = process.env; console.log(`{"${TOKEN}":1,"${TOKEN.toUpperCase()}":12345678901234567890}`)',
  );
  assert.ok(result.status === 'succeeded', JSON.stringify(result));
  assert.deepEqual(result.exact?.map(pointerOf), ['/json/[redacted] 2']);
  assert.deepEqual((result.output as { json: Json }).json, {
    '[redacted]': 1,
    '[redacted] 2': '12345678901234567890',
  });
});

describe("a failure's body in which nobody finds a secret is not told", () => {
  const said = `it failed with ${token}`;
  const packed = gzipSync(said);
  const text = 'text/plain';
  const cases: readonly (readonly [string, Record<string, string>, Buffer])[] = [
    ['packed, and cut short', { 'content-encoding': 'gzip', 'content-type': text }, packed.subarray(0, -9)],
    ['packed in a way that is not read here', { 'content-encoding': 'zstd', 'content-type': text }, packed],
    ['packed, and no header says so', { 'content-type': text }, packed],
    ['packed without a frame, and no header says so', { 'content-type': text }, deflateRawSync(said)],
    ['packed, and in a charset of single bytes', { 'content-type': `${text}; charset=iso-8859-1` }, packed],
    ['of JSON, packed, and cut short', { 'content-type': 'application/json' }, packed.subarray(0, -9)],
  ];
  for (const [what, headers, body] of cases)
    test(what, async () => {
      const result = await ask({ status: 500, headers, body });
      assert.ok(result.status === 'failed', JSON.stringify(result));
      assert.deepEqual((result.response as { body: Json }).body, null);
    });

  test('and one in Latin-1 is, without the secret', async () => {
    const result = await ask({
      ...{ status: 500, headers: { 'content-type': text } },
      body: Buffer.from(`café ${token}`, 'latin1'),
    });
    assert.ok(result.status === 'failed', JSON.stringify(result));
    assert.equal((result.response as { body: Json }).body, 'café [redacted]');
  });

  for (const charset of ['', '; charset=windows-1252'])
    test(`and one in Windows-1252 is, \`text/plain${charset}\``, async () => {
      const result = await ask({
        ...{ status: 500, headers: { 'content-type': `${text}${charset}` } },
        body: Buffer.from(`caf\xe9 \x96 5 \x80 ${token}`, 'latin1'),
      });
      assert.ok(result.status === 'failed', JSON.stringify(result));
      assert.equal((result.response as { body: Json }).body, 'café – 5 € [redacted]');
    });
});
