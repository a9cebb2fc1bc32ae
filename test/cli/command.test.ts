import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { run } from '../../src/cli/command.js';
import { showApproval } from '../../src/cli/show.js';
import { credentialEnded, uncertainDetail } from '../../src/service/refusal.js';
import { startApi, type Harness } from '../api/harness.js';

interface Ran {
  readonly code: number;
  readonly out: string;
  readonly err: string;
}

async function countersign(env: NodeJS.ProcessEnv, ...argv: string[]): Promise<Ran> {
  const [out, err]: [string[], string[]] = [[], []];
  const code = await run(argv, {
    out: (line) => void out.push(line),
    err: (line) => void err.push(line),
    env,
  });
  return { code, out: out.join('\n'), err: err.join('\n') };
}

describe('an API key that stands where something else should', () => {
  const key = `cs_${'k'.repeat(43)}`;
  /** As it is made: of letters of both cases and digits. */
  const mixed = `cs_aB3${'k'.repeat(40)}`;
  for (const argv of [
    ['approvals', '--as', key],
    ['approvals', '--as', `"${key}"`],
    ['get', key, '--as', 'admin'],
    ['get', `Bearer ${key}`, '--as', 'admin'],
    ['approve', 'apr_1', key],
    ['submit', 'run_1', `${key}\n`, '--key', 'x'],
    ['start', 'pay', '--environment', key],
    ['start', 'pay', '--input', `@${key}`],
    ['start', 'pay', `--version=${key}`],
    ['approvals', '--role', `COUNTERSIGN_KEY=${key}`],
    [key],
    [`'${key}',`],
    ['get', `${key}${key}`],
    ['get', `run%3D${mixed}`],
    ['get', `--key${mixed}`],
    ['get', '--as', 'agent', '--', `--key=${key}`],
  ])
    it(`is told nowhere, and not sent: ${argv.join(' ').replaceAll(key, 'KEY').replace(mixed, 'MIXED')}`, async () => {
      const { code, out, err } = await countersign({ COUNTERSIGN_URL: 'http://127.0.0.1:1' }, ...argv);
      assert.equal(code, 2);
      assert.match(err, /an API key stands in the arguments; it is given with --key or COUNTERSIGN_KEY/);
      assert.doesNotMatch(`${out}${err}`, /cs_/);
    });

  for (const text of [
    `cs_test_${'a1'.repeat(29)}`,
    'metrics_of_all_departments_for_the_last_quarter_of_the_year',
    'docs_1BxiMVs0XRA5nFMdKvBdBZjgmUUqptlbs74OgvE2upms',
  ])
    it(`is not what only looks like its beginning: ${text}`, async () => {
      const { err } = await countersign({ COUNTERSIGN_URL: 'http://127.0.0.1:9' }, 'get', text, '--key', 'x');
      assert.match(err, /cannot reach/);
    });

  for (const given of [['--key', key], [`--key=${key}`]])
    it(`is asked with where it should stand: ${given[0]?.replace(key, 'KEY') ?? ''}`, async () => {
      const { err } = await countersign({ COUNTERSIGN_URL: 'http://127.0.0.1:9' }, 'get', 'run_1', ...given);
      assert.match(err, /cannot reach/);
    });
});

describe('npx countersign, beside a running service', () => {
  let api: Harness;
  let env: NodeJS.ProcessEnv;
  before(async () => {
    api = await startApi();
    env = { COUNTERSIGN_HOME: api.home, COUNTERSIGN_URL: api.url };
  });
  after(() => api.stop());
  const as = (name: string, ...argv: string[]) => countersign(env, ...argv, '--as', name);
  const json = async (name: string, ...argv: string[]) => {
    const ran = await as(name, ...argv, '--json');
    assert.equal(ran.code, 0, ran.err);
    return JSON.parse(ran.out);
  };

  it('starts, submits, shows the exact action, approves it by its digest, and lists the record', async () => {
    const { run: started } = await json('agent', 'start', 'pay', '--environment', 'dev');
    const parked = await as('agent', 'submit', started.id, 'bank.pay', '--arguments', '{"amount": 500}');
    assert.match(parked.out, /waits for approval apr_\w+ for finance.controller/);
    const listed = await json('finance', 'approvals', '--mine');
    const approval = listed.data.find((approval: { run: string }) => approval.run === started.id);
    assert.match((await as('finance', 'approvals')).out, new RegExp(`${approval.id}  open`));
    const approved = await as('finance', 'approve', approval.id, '--reason', 'fine');
    assert.equal(approved.code, 0, approved.err);
    assert.match(approved.out, /"amount": 500/);
    assert.ok(approved.out.includes(approval.digest));
    assert.match(
      approved.out,
      /approved and executed\naction act_\w+ of bank\.pay: executed: \{"paid":true\}\nrun run_\w+ is running in state active$/,
    );
    assert.match((await as('agent', 'get', started.id)).out, /running in state active, version 1/);
    const records = await as('auditor', 'audit', started.id);
    assert.match(records.out, /approval\.decided\s+finance \(human\)/);
    assert.equal((await json('auditor', 'audit', started.id, '--type', 'approval.decided')).data.length, 1);
  });

  it('denies, and says what was refused with exit code 1', async () => {
    const { run: started } = await json('agent', 'start', 'pay');
    const parked = await json('agent', 'submit', started.id, 'bank.pay', '--arguments', '{"amount": 600}');
    const id = parked.result.approval.id as string;
    const agent = await as('agent', 'approve', id);
    assert.equal(agent.code, 1);
    assert.match(agent.err, /^NOT_AN_APPROVER: only a human decides/);
    assert.match((await as('finance', 'deny', id)).out, /denied and applied: nothing runs of it$/);
    const again = await as('finance', 'approve', id, '--json');
    assert.deepEqual([again.code, JSON.parse(again.out).code], [1, 'ALREADY_DECIDED']);
    const invalid = await as('agent', 'submit', started.id, 'bank.pay', '--arguments', '{"amount": "x"}');
    assert.match(invalid.err, /INPUT_INVALID[^]*\/arguments\/amount/);
    const none = await as('agent', 'submit', started.id, 'bank.py');
    assert.match(none.err, /^BLOCKED: .*\n(?:can .*\n)*can bank\.pay \(may wait for an approval\): /);
    const stranger = await countersign(env, 'get', started.id, '--key', 'wrong');
    assert.match(stranger.err, /^UNAUTHENTICATED: the service does not take this key.*--key.*--as$/);
  });

  it('asks for exactly what was written, and leaves it to the service to refuse it', async () => {
    const { run: started } = await json('agent', 'start', 'pay');
    for (const [given, told] of [
      ['{"amount": 1e400}', /MALFORMED|REQUEST_INVALID|INPUT_INVALID/],
      ['{"amount": 500, "amount": 2}', /REQUEST_INVALID/],
      ['{"amount": 9007199254740993}', /REQUEST_INVALID/],
    ] as const) {
      const ran = await as('agent', 'submit', started.id, 'bank.pay', '--arguments', given);
      assert.deepEqual([ran.code, told.test(ran.err)], [1, true], ran.err);
    }
    const twice = await as('agent', 'start', 'pay', '--input', '{"a": 1, "a": 2}');
    assert.match(twice.err, /REQUEST_INVALID/);
    const two = await as('agent', 'submit', started.id, 'bank.pay', '--arguments', '{"amount": 1}, "x": {}');
    assert.deepEqual([two.code, /: not JSON: /.test(two.err)], [2, true], two.err);
  });

  it('prints nothing that a terminal obeys, whoever wrote it', async () => {
    const { run: started } = await json('agent', 'start', 'pay');
    const dressed = 'EUR\u009b2K\u202e';
    for (const flags of [[], ['--json']]) {
      const args = JSON.stringify({ amount: 1, currency: dressed });
      const ran = await as('agent', 'submit', started.id, 'bank.pay', '--arguments', args, ...flags);
      const refused = await as('agent', 'submit', started.id, `bank${dressed}`, ...flags);
      for (const text of [ran.out, ran.err, refused.out, refused.err])
        assert.doesNotMatch(text, /[\p{Cf}\u007f-\u009f]/u);
    }
  });

  it('shows the signing keys, makes a new one and retires the others, for operators alone', async () => {
    const [before] = (await json('auditor', 'keys', 'list')).data;
    assert.match((await as('agent', 'keys', 'rotate')).err, /^FORBIDDEN/);
    const [made, old] = (await json('admin', 'keys', 'rotate', '--window', '1h')).data;
    assert.deepEqual([made.status, old.keyId, old.status], ['active', before.keyId, 'retiring']);
    const retired = await as('admin', 'keys', 'retire', old.keyId, '--window', '0s');
    assert.match(retired.out, new RegExp(`^${old.keyId}  retired, made .*, taken until `));
    assert.match((await as('admin', 'keys', 'retire', made.keyId)).err, /^LAST_SIGNING_KEY/);
    for (const wrong of [['rotate', old.keyId], ['retire'], ['burn'], ['list', '--window', '1h']])
      assert.equal((await as('admin', 'keys', ...wrong)).code, 2, wrong.join(' '));
  });

  it('takes what is sent from a file too', async () => {
    const file = join(api.home, 'arguments.json');
    writeFileSync(file, '{"amount": 3}\n');
    const { run: started } = await json('agent', 'start', 'pay');
    const paid = await json('agent', 'submit', started.id, 'bank.pay', '--arguments', `@${file}`);
    assert.equal(paid.result.status, 'executed');
    const none = await as('agent', 'start', 'pay', '--input', '@none.json');
    assert.deepEqual([none.code, none.err], [2, '--input: there is no file `none.json`']);
    // Nothing is put in place of what the file holds: people would approve another text.
    writeFileSync(file, Buffer.from('{"payee": "M\xfcller"}', 'latin1'));
    for (const unreadable of [file, api.home]) {
      const { code, err } = await as('agent', 'start', 'pay', '--input', `@${unreadable}`);
      assert.equal(code, 2, err);
      assert.match(err, /^--input: `.+` cannot be read as UTF-8 text: /);
    }
  });

  it('says how to ask rightly with exit code 2', async () => {
    const wrong: [string[], RegExp][] = [
      [[], /usage/],
      [['approove'], /^there is no command `approove`: did you mean `approve`\?\n.*--help.*$/],
      [['migrat'], /: did you mean `migrate`\?\n.*--help.*$/],
      [
        ['cancel', 'run_1', '--as', 'admin'],
        /^there is no command `cancel`: it is `POST \/v1\/runs\/\{id\}\/cancel` of the API, see docs\/operating\.md$/,
      ],
      [['retry'], /^there is no command `retry`: it is `POST \/v1\/runs\/\{id\}\/retry` of the API[^\n]+$/],
      [['reload'], /^there is no command `reload`: it is `POST \/v1\/policies\/reload` of the API[^\n]+$/],
      [
        ['withdraw', 'pay'],
        /^there is no command `withdraw`: it is `POST \/v1\/flows\/\{name\}\/withdraw` of the API[^\n]+$/,
      ],
      [['frobnicate'], /^there is no command `frobnicate`\nusage: countersign <command>/],
      [['get'], /usage: countersign get <run>/],
      [['get', 'a', 'b'], /usage/],
      [
        ['aprove', 'a'],
        /^there is no command `aprove`: did you mean `approve`\?\n`countersign --help` lists .*$/,
      ],
      [['get', 'a', '--nonsense'], /^`get` does not take --nonsense\nusage: countersign get <run>/],
      [['get', 'a', '--reason', 'x'], /^`get` does not take --reason\nusage/],
      [
        ['submit', 'a', 'b', '--argument', '{}'],
        /^`submit` does not take --argument: did you mean --arguments\?\n`countersign --help` lists .*$/,
      ],
      [['start', 'pay', '--imput={}'], /did you mean --input\?/],
      [['start', 'pay', '-i', '{}'], /^`start` does not take -i\n/],
      [
        ['approve', 'apr_x', '-reason', 'hi'],
        /^`approve` does not take -reason: did you mean --reason\?\n`countersign --help` lists .*$/,
      ],
      [['approve', 'apr_x', '-resaon=hi'], /^`approve` does not take -resaon: did you mean --reason\?\n/],
      [['get', '-json', 'x'], /^`get` does not take -json: did you mean --json\?\n/],
      [['get', '-help'], /^`get` does not take -help: did you mean --help\?\n/],
      [['get', 'x', '-kcsk_secret'], /^`get` does not take -k\nusage: countersign get <run>/],
      [
        ['--json', 'get', 'x'],
        /^there is no command `--json`: options stand after the command\n`countersign --help` lists .*$/,
      ],
      [['DATABASE_URL=postgres://cs:s3cret@db/cs', 'api'], /^there is no command `DATABASE_URL`\nusage: /],
      [['--key=csk_secret', 'get', 'x'], /^there is no command `--key`: options stand after the command\n/],
      [['start', 'pay', '--input'], /^--input needs a value/],
      [
        ['approve', 'a', '--wait', '-1'],
        /^--wait needs a value; one that begins with `-` is written --wait=-…$/,
      ],
      [['start', 'pay', '--input', '--json'], /^--input needs a value/],
      [['get', 'a', '--json=yes'], /^--json takes no value$/],
      [['get', 'a'], /say who is asking/],
      [['get', 'a', '--as', 'nobody'], /no development key `nobody`.*agent/],
      [['get', 'a', '--as', 'agent', '--key', 'x'], /--key or --as, not both/],
      [
        ['start', 'pay', '--as', 'agent', '--input', '{'],
        /^--input: not JSON: expected .* \(line 1, at its end\)/,
      ],
      [
        ['start', 'pay', '--as', 'agent', '--input', '{text: hi}'],
        /^--input: not JSON: .* \(line 1, at `text: hi\}`\): names and texts stand in double quotes, .*`@file` takes it from a file$/,
      ],
      [
        ['submit', 'a', 'b', '--as', 'agent', '--arguments', "{\n'amount': 1}"],
        /^--arguments: not JSON: .* \(line 2, at `'amount': 1\}`\): names and texts stand in double quotes/,
      ],
      [
        ['simulate', 'expense_approval', '--input', '{employee: 1}'],
        /^--input: not JSON: .*at `employee: 1\}`/,
      ],
      [['start', 'pay', '--as', 'agent', '--input', '[]'], /must be a JSON object/],
      [['check', '/no/such/place'], /no file or folder/],
    ];
    for (const [argv, message] of wrong) {
      const ran = await countersign(env, ...argv);
      assert.equal(ran.code, 2, argv.join(' '));
      assert.match(ran.err, message);
    }
    assert.deepEqual((await countersign(env, '--help')).code, 0);
  });

  it('says when nobody answers', async () => {
    const ran = await countersign({ COUNTERSIGN_URL: 'http://127.0.0.1:1' }, 'get', 'a', '--key', 'x');
    assert.equal(ran.code, 1);
    assert.match(ran.err, /cannot reach .*is it running/);
  });

  it('says that what was sent may have been done, where no answer came', async () => {
    const silent = createServer((request) => void request.socket.destroy());
    await new Promise<void>((resolve) => silent.listen(0, '127.0.0.1', resolve));
    const url = `http://127.0.0.1:${(silent.address() as AddressInfo).port}`;
    const ask = (...argv: string[]) => countersign({ COUNTERSIGN_URL: url }, ...argv, '--key', 'x');
    const written = await ask('start', 'pay');
    assert.equal(written.code, 1);
    assert.match(written.err, /did not answer .*may have been done all the same: look before you ask again/);
    const read = await ask('get', 'a');
    assert.match(read.err, /did not answer/);
    assert.doesNotMatch(read.err, /may be done/);
    silent.close();
  });

  it('says that nothing was sent where nothing was, and that it may be done where something between answered', async () => {
    const replies: Readonly<Record<string, readonly [number, string, Record<string, string>]>> = {
      gateway: [502, '<html>bad gateway</html>', {}],
      json: [503, '{"message":"no upstream"}', { 'content-type': 'application/json' }],
      moved: [302, '', { location: '/elsewhere' }],
      kept: [308, '', { location: '/elsewhere' }],
      fine: [200, 'ok', {}],
      list: [200, '[]', { 'content-type': 'application/json' }],
      own: [502, '{"code":"EXECUTOR_FAILED","detail":"it said no"}', { 'content-type': 'application/json' }],
      ended: [
        401,
        JSON.stringify({ code: 'UNAUTHENTICATED', detail: uncertainDetail(credentialEnded, 'repeat') }),
        { 'content-type': 'application/json' },
      ],
    };
    const asked: string[] = [];
    const between = createServer((request, response) => {
      asked.push(request.url ?? '');
      const name = /\/v1\/(?:flows|runs)\/(\w+)/.exec(request.url ?? '')?.[1] ?? '';
      const [status, text, headers] = replies[name] ?? [404, '{}', {}];
      response.writeHead(status, headers).end(text);
    });
    await new Promise<void>((resolve) => between.listen(0, '127.0.0.1', resolve));
    const { port } = between.address() as AddressInfo;
    const ask = (url: string, key: string, ...argv: string[]) =>
      countersign({ COUNTERSIGN_URL: url }, ...argv, '--key', key);
    const url = `http://127.0.0.1:${port}`;
    for (const [flow, why] of [
      ['gateway', /answered 502 without JSON/],
      ['json', /answered 503, and not in Countersign's words: is there a proxy/],
      ['moved', /answered 302, a redirect/],
      ['kept', /answered 308, a redirect/],
      ['fine', /answered 200 without JSON/],
      ['list', /answered 200 without JSON/],
    ] as const) {
      const written = await ask(url, 'x', 'start', flow);
      assert.deepEqual(
        [written.code, written.err.includes('may have been done all the same')],
        [1, true],
        flow,
      );
      assert.match(written.err, why);
      const read = await ask(url, 'x', 'get', flow);
      assert.match(read.err, why);
      assert.doesNotMatch(read.err, /may be done/);
    }
    assert.ok(!asked.includes('/elsewhere'), 'a redirect is not followed');
    const own = await ask(url, 'x', 'start', 'own');
    assert.match(own.err, /^EXECUTOR_FAILED: it said no$/);
    const ended = await ask(url, 'x', 'start', 'ended');
    assert.match(
      ended.err,
      /give another one .*not certain whether this was done: look before you ask again$/,
    );
    const { length } = asked;
    for (const [address, key, why] of [
      [url.replace('http:', 'https:'), 'x', /cannot reach .* over TLS, so nothing was sent/],
      [url, '\u2018x\u2019', /nothing was sent, because the key contains "\u2018", which no key does/],
      [url, 'x y', /the key contains " ", /],
      [url, '"x"', /the key contains "\\"", which no key does: was it copied with quotes/],
      [url, "'x'", /the key contains "'", which no key does/],
      [url, '', /say who is asking: --as NAME/],
    ] as const) {
      const ran = await ask(address, key, 'start', 'pay');
      assert.notEqual(ran.code, 0);
      assert.match(ran.err, why);
      assert.doesNotMatch(ran.err, /may be done/);
    }
    assert.equal(asked.length, length);
    between.closeAllConnections();
    between.close();
  });

  it('says how to look where a batch may be made, and what is refused where it is not', async () => {
    const results = [{ approval: 'apr_1', status: 'refused', code: 'ALREADY_DECIDED', detail: 'ann did' }];
    const detail = uncertainDetail('the store of runs and records does not answer', 'repeat');
    let refusal: readonly [number, object] = [503, { code: 'AUDIT_UNAVAILABLE', detail }];
    const service = createServer((request, response) => {
      request.setEncoding('utf8');
      let body = '';
      request.on('data', (text: string) => (body += text));
      request.on('end', () => {
        const isReal = request.method === 'POST' && body.includes('"dryRun":false');
        const [status, said] = isReal
          ? refusal
          : [200, { data: [], nextCursor: null, token: 't', results: [] }];
        response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(said));
      });
    });
    await new Promise<void>((resolve) => service.listen(0, '127.0.0.1', resolve));
    const url = `http://127.0.0.1:${(service.address() as AddressInfo).port}`;
    const made = () =>
      countersign({ COUNTERSIGN_URL: url }, 'batch', 'approve', 'apr_1', '--yes', '--key', 'x');
    assert.match(
      (await made()).err,
      /not certain whether this was done: look with `npx countersign approvals --mine` before you ask again$/,
    );
    refusal = [409, { code: 'BATCH_REFUSED', detail: 'none was made: see `results`', results }];
    assert.match(
      (await made()).err,
      /^BATCH_REFUSED: .*see `results`\n {2}apr_1 {2}refused {2}ALREADY_DECIDED {2}ann did$/,
    );
    service.closeAllConnections();
    service.close();
  });

  it('sends nothing where the address has credentials or a path, and shows no credentials', async () => {
    let asked = 0;
    const other = createServer((_request, response) => {
      asked += 1;
      response.writeHead(404, { 'content-type': 'application/json' }).end('{"error":"not found"}');
    });
    await new Promise<void>((resolve) => other.listen(0, '127.0.0.1', resolve));
    const host = `127.0.0.1:${(other.address() as AddressInfo).port}`;
    const start = (address: string) => [
      countersign({ COUNTERSIGN_URL: address }, 'start', 'pay', '--key', 'x'),
      countersign({}, 'start', 'pay', '--key', 'x', '--url', address),
    ];
    for (const address of [
      `http://ci:S3CRET@${host}`,
      `http://S3CRET@${host}/`,
      `http://ci:S3#CRET@${host}`,
      `http://ci:S3/CRET@${host}`,
      `http://ci:S3CRET@${host}0000`,
      `ci:S3CRET@${host}`,
    ])
      for (const ran of await Promise.all(start(address))) {
        assert.equal(ran.code, 2, address);
        assert.match(ran.err, /^nothing was sent: the address \(not shown here\) .* as http:\/\/host:port/);
        assert.doesNotMatch(ran.out + ran.err, /S3|CRET/);
      }
    for (const behind of ['/countersign/', '/v1', '/?token=T0KEN', '/#a'])
      for (const ran of await Promise.all(start(`http://${host}${behind}`))) {
        assert.equal(ran.code, 2, behind);
        assert.match(ran.err, new RegExp(`^nothing was sent: .* as http://${host}$`));
      }
    for (const key of ['cs_S3CRET', ' cs_S3CRET', 'Bearer cs_S3CRET', 'eyJS3CRET'])
      for (const ran of await Promise.all(start(key))) {
        assert.equal(ran.code, 2, key);
        assert.match(ran.err, /^what was given as address \(not shown here\) is no address: /);
        assert.doesNotMatch(ran.out + ran.err, /S3CRET/);
      }
    for (const address of [`ftp://${host}`, host, 'localhost:8080', 'nonsense'])
      for (const ran of await Promise.all(start(address))) {
        assert.equal(ran.code, 2, address);
        assert.match(ran.err, /^`.+` is no address: /);
      }
    assert.equal(asked, 0);
    const [ran] = await Promise.all(start(`http://${host}/`));
    assert.equal(asked, 2);
    assert.match(
      String(ran?.err),
      /answered 404, and not in Countersign's words: is it Countersign\?, and what was asked may have been done/,
    );
    other.closeAllConnections();
    other.close();
  });

  it('says in its own words which value an option takes, and which flows there are', async () => {
    const status = await as('finance', 'approvals', '--status', 'opn');
    assert.equal(
      status.err,
      'REQUEST_INVALID: --status takes open, approved, denied, expired, escalated, revoked, consumed, not `opn`: did you mean `open`?',
    );
    const tier = await as('finance', 'approvals', '--tier', 'reversable', '--status', 'gone');
    assert.match(
      tier.err,
      /^REQUEST_INVALID: --status takes [^\n]+, not `gone`\n--tier takes read_only, reversible, irreversible, none, not `reversable`: did you mean `reversible`\?$/,
    );
    const before = await as('finance', 'approvals', '--expiring-before', 'soon');
    assert.match(before.err, /^REQUEST_INVALID: --expiring-before `soon`: [^\n]+$/);
    const type = await as('auditor', 'audit', 'run_1', '--type', 'approval.decide');
    assert.match(type.err, /^REQUEST_INVALID: --type takes .*: did you mean `approval\.decided`\?$/);
    const flow = await as('agent', 'start', 'pai');
    assert.equal(flow.code, 1);
    assert.match(flow.err, /^NOT_FOUND: there is no flow `pai`: did you mean `pay`\? there are .*\bpay\b/);
    const version = await as('agent', 'start', 'pay', '--version', '99');
    assert.match(
      version.err,
      /^NOT_FOUND: there is no flow `pay` version 99: its newest version is \d+ in `\w+`$/,
    );
  });

  it('finds the service of the data folder by itself', async () => {
    writeFileSync(
      join(api.home, 'processes.json'),
      JSON.stringify({ up: { pid: 1 }, api: { pid: 2, port: Number(new URL(api.url).port) } }),
    );
    const ran = await countersign({ COUNTERSIGN_HOME: api.home }, 'approvals', '--as', 'finance');
    assert.equal(ran.code, 0, ran.err);
  });
});

describe('countersign check', () => {
  let folder: string;
  before(() => {
    folder = mkdtempSync(join(tmpdir(), 'countersign-cli-'));
  });
  after(() => rmSync(folder, { recursive: true }));

  it('passes the shipped policies, and a file of theirs', async () => {
    const ran = await countersign({}, 'check', 'policies', 'policies/flows/expense_approval.yaml');
    assert.equal(ran.code, 0, ran.out);
    assert.match(ran.out, /expense_approval.yaml: valid/);
  });

  it('names file, line and column of an error, and gives exit code 1', async () => {
    const path = join(folder, 'flow.yaml');
    writeFileSync(
      path,
      'workflows:\n  f:\n    initialState: a\n    states:\n      a: { terminal: true, gaurds: [] }\n',
    );
    const ran = await countersign({}, 'check', path);
    assert.equal(ran.code, 1);
    assert.match(ran.out, /flow\.yaml:5:\d+: error/);
    const asJson = await countersign({}, 'check', path, '--json');
    assert.equal(JSON.parse(asJson.out)[0].errors[0].line, 5);
  });
});

describe('what is shown before approving', () => {
  it('cannot be dressed up by what others wrote', () => {
    const lines = showApproval({
      id: 'apr_1',
      summary: 'pay\u001b[2K\u202e evil\nfake line',
      arguments: { vendor: '\u001b]0;x\u0007\u202e' },
      preview: null,
    });
    assert.ok(
      lines.every((line) => !/[\p{Cc}\p{Cf}]/u.test(line)),
      JSON.stringify(lines),
    );
    assert.ok(lines.some((line) => line.includes('\\u{202e}')));
  });
});
