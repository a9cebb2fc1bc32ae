import assert from 'node:assert/strict';
import net from 'node:net';
import { after, before, describe, it } from 'node:test';
import { z } from 'zod';
import { maxBytesOf, parseBody } from '../../../src/api/http/bodies/body.js';
import { parseJsonText } from '../../../src/api/http/bodies/json-text.js';
import { validateQuery } from '../../../src/api/contract/validate.js';
import { codes, startApi, type Harness } from '../harness.js';

const parse = (text: string) => parseJsonText(Buffer.from(text));

describe('JSON at the boundary', () => {
  it('is what JSON.parse gives, where nothing is odd', () => {
    for (const text of [
      '1',
      '"x"',
      '[]',
      '{}',
      ' {"a": [1, {"b": "c:d"}], "e": "}{", "\\"": null} ',
      '[{"a":1},{"a":2}]',
      '-0.5e3',
    ]) {
      assert.deepEqual(parse(text), { status: 'ok', value: JSON.parse(text) }, text);
    }
  });

  it('keeps `__proto__` as a name of its own and pollutes nothing', () => {
    const parsed = parse('{"__proto__": {"admin": true}, "constructor": 1}');
    assert.equal(parsed.status, 'ok');
    const value = parsed.status === 'ok' ? (parsed.value as Record<string, unknown>) : {};
    assert.deepEqual(Object.keys(value), ['__proto__', 'constructor']);
    assert.equal(({} as { admin?: boolean }).admin, undefined);
  });

  it('names what two readers could understand differently', () => {
    const refused: Record<string, string> = {
      '{"a":1,"a":2}': '/a',
      '[0,{"x":{"y":1,"\\u0079":2}}]': '/1/x/y',
      '{"a":[9007199254740992]}': '/a/0',
      '[1e400]': '/0',
      '{"a":{"b":"\\ud800"}}': '/a/b',
      '["\\u0000"]': '/0',
    };
    for (const [text, pointer] of Object.entries(refused)) {
      const parsed = parse(text);
      assert.equal(parsed.status === 'refused' ? parsed.errors[0]?.pointer : parsed.status, pointer, text);
    }
    assert.equal(parse('{"a":9007199254740991}').status, 'ok');
  });

  it('takes 64 levels and no more, however long the text', () => {
    assert.equal(parse(`${'['.repeat(64)}${']'.repeat(64)}`).status, 'ok');
    assert.equal(parse(`${'['.repeat(65)}${']'.repeat(65)}`).status, 'refused');
    assert.equal(parse(`${'{"a":'.repeat(100_000)}1${'}'.repeat(100_000)}`).status, 'too_large');
  });

  it('refuses what is no JSON or no UTF-8', () => {
    for (const text of ['', '{', '{"a":}', "{'a':1}", 'NaN', '{"a":1,}', '[1] x'])
      assert.equal(parse(text).status, 'malformed', text);
    assert.equal(parseJsonText(Buffer.from([0x22, 0xff, 0x22])).status, 'malformed');
  });
});

describe('bad requests of every kind', () => {
  let api: Harness;
  before(async () => {
    api = await startApi();
  });
  after(() => api.stop());
  const start = (body: unknown, headers = {}) =>
    api.ask('agent', 'POST', '/v1/flows/pay/runs', body, headers);

  it('get a problem answer each, and change nothing', async () => {
    const many = 'x'.repeat(2 * 1_048_576);
    const cases: [unknown, number, string][] = [
      ['{"input":', 400, 'MALFORMED'],
      ['{"input":{"a":1,"a":2}}', 422, 'REQUEST_INVALID'],
      [`{"input":${'['.repeat(70)}${']'.repeat(70)}}`, 422, 'REQUEST_INVALID'],
      ['{"input":{"a":9007199254740993}}', 422, 'REQUEST_INVALID'],
      ['{"__proto__":{"input":{}}}', 422, 'REQUEST_INVALID'],
      ['[]', 422, 'REQUEST_INVALID'],
      ['null', 422, 'REQUEST_INVALID'],
      [{ input: {}, more: 1 }, 422, 'REQUEST_INVALID'],
      [{ input: [] }, 422, 'REQUEST_INVALID'],
      [{ input: {}, version: '1' }, 422, 'REQUEST_INVALID'],
      [{ input: {}, version: 3_000_000_000 }, 422, 'REQUEST_INVALID'],
      [{ input: {}, mode: 'LIVE' }, 422, 'REQUEST_INVALID'],
      [{ input: { text: many } }, 413, 'TOO_LARGE'],
      [{ input: JSON.parse('{"__proto__":1}') }, 422, 'INPUT_INVALID'],
    ];
    for (const [body, status, code] of cases)
      assert.deepEqual(codes(await start(body)), [status, code], JSON.stringify(body).slice(0, 80));
    assert.equal((await api.ask('agent', 'GET', '/v1/runs')).body.data.length, 0);
    assert.deepEqual(api.logged, []);
  });

  it('say how large a body is that is too large, where its head says it', async () => {
    const sized = await start({ input: { text: 'x'.repeat(2_000_000) } });
    assert.match(sized.body.detail, /^the body has 20000\d\d bytes, and 1048576 are the most: send less$/);
    const chunks = await fetch(`${api.url}/v1/flows/pay/runs`, {
      method: 'POST',
      headers: { authorization: `Bearer ${api.keys['agent']}`, 'content-type': 'application/json' },
      body: new Blob(['x'.repeat(2_000_000)]).stream(),
      duplex: 'half',
    });
    const { detail } = (await chunks.json()) as { detail: string };
    assert.match(detail, /^the body has more than 1048576 bytes, and 1048576 are the most/);
    const many = await start({ input: { list: Array.from({ length: 60_000 }, () => 1) } });
    assert.match(many.body.detail, /^the body holds about 6000\d values, and 50000 are the most: send less$/);
  });

  it('name each field that is wrong', async () => {
    const { body } = await start({ input: 1, mode: 'x', extra: 1 });
    assert.deepEqual(body.errors.map((error: { pointer: string }) => error.pointer).sort(), [
      '/extra',
      '/input',
      '/mode',
    ]);
    const { body: query } = await api.ask('agent', 'GET', '/v1/runs?limit=501&other=1');
    assert.deepEqual(query.errors.map((error: { pointer: string }) => error.pointer).sort(), [
      '/query/limit',
      '/query/other',
    ]);
    assert.deepEqual(codes(await api.ask('agent', 'GET', '/v1/runs?limit=1&limit=2')), [
      422,
      'REQUEST_INVALID',
    ]);
    assert.deepEqual(codes(await api.ask('auditor', 'GET', '/v1/audit?from=yesterday')), [
      422,
      'REQUEST_INVALID',
    ]);
  });

  it('are told which method and which media type would do', async () => {
    const method = await api.ask('agent', 'PUT', '/v1/flows/pay/runs', { input: {} });
    assert.deepEqual(
      [...codes(method), method.headers.get('allow')],
      [405, 'METHOD_NOT_ALLOWED', 'POST, OPTIONS'],
    );
    assert.equal((await api.ask('agent', 'PATCH', '/v1/runs')).headers.get('allow'), 'GET, HEAD, OPTIONS');
    assert.deepEqual(codes(await start('{}', { 'content-type': 'text/plain' })), [
      415,
      'UNSUPPORTED_MEDIA_TYPE',
    ]);
    assert.deepEqual(codes(await start('{}', { 'content-encoding': 'gzip' })), [
      415,
      'UNSUPPORTED_MEDIA_TYPE',
    ]);
    assert.deepEqual(
      codes(await api.ask('admin', 'POST', '/v1/flows', 'x', { 'content-type': 'application/xml' })),
      [415, 'UNSUPPORTED_MEDIA_TYPE'],
    );
    assert.equal((await api.ask('agent', 'OPTIONS', '/v1/runs')).status, 204);
    const head = await api.ask('agent', 'HEAD', '/v1/whoami');
    assert.deepEqual([head.status, head.text], [200, '']);
  });

  it('find nothing under odd ids', async () => {
    for (const id of [
      'run_none',
      '%00',
      'a%2Fb',
      '%E0%A4%A',
      "'%3B drop table run--",
      'x'.repeat(300),
      '__proto__',
      '..%2f..',
      '%F0%9F%98%80',
    ]) {
      for (const path of [
        `/v1/runs/${id}`,
        `/v1/approvals/${id}`,
        `/v1/actions/${id}`,
        `/v1/decisions/${id}`,
        `/v1/flows/${id}`,
      ]) {
        assert.deepEqual(codes(await api.ask('admin', 'GET', path)), [404, 'NOT_FOUND'], path);
      }
    }
    for (const path of [
      '/v1',
      '/v1/',
      '/v1/runs/',
      '/V1/runs',
      '/v1/audit/checkpoint',
      '/v1/audit/tile/0/000',
      '/v1/audit/entries/0/proof',
      '/nothing',
    ]) {
      assert.deepEqual(codes(await api.ask('admin', 'GET', path)), [404, 'NOT_FOUND'], path);
    }
    assert.deepEqual(codes(await api.ask('admin', 'GET', '/v1/flows/pay/versions/99999999999')), [
      404,
      'NOT_FOUND',
    ]);
    assert.deepEqual(codes(await api.ask('auditor', 'GET', '/v1/audit/entries/-1')), [404, 'NOT_FOUND']);
    assert.deepEqual(api.logged, []);
  });

  it('cannot make a cursor of their own', async () => {
    const forged = [
      ['x'],
      ['\u0000'],
      ['x', 1],
      [1e300, 1],
      [1.5, -2],
      ['2026-01-01T00:00:00Z', '\u0000'],
      [1, '2'],
      [{}, 1],
      [Number.MAX_SAFE_INTEGER, Number.MAX_SAFE_INTEGER],
    ];
    for (const position of forged) {
      const cursor = Buffer.from(JSON.stringify(position)).toString('base64url');
      for (const [as, path] of [
        ['admin', '/v1/keys'],
        ['admin', '/v1/flows'],
        ['admin', '/v1/runs'],
        ['admin', '/v1/approvals'],
        ['auditor', '/v1/audit'],
      ] as const) {
        const found = await api.ask(as, 'GET', `${path}?cursor=${cursor}`);
        assert.ok(
          [200, 422].includes(found.status),
          `${path} ${JSON.stringify(position)}: ${found.text} ${api.logged.join()}`,
        );
      }
    }
    for (const query of [
      'asOf=999999999999999',
      'from=0001-01-01T00:00:00Z',
      'from=2026-02-30T00:00:00Z',
      'to=9999-12-31T23:59:59Z',
      'to=2026-01-01T00:00:00.123456789%2B14:00',
    ]) {
      const found = await api.ask('auditor', 'GET', `/v1/audit?${query}`);
      assert.ok([200, 422].includes(found.status), `${query}: ${found.text} ${api.logged.join()}`);
    }
  });

  it('are refused by permission before existence', async () => {
    assert.deepEqual(codes(await api.ask('auditor', 'POST', '/v1/flows/none/runs', {})), [403, 'FORBIDDEN']);
    assert.deepEqual(codes(await api.ask('auditor', 'POST', '/v1/runs/none/transitions/x', {})), [
      403,
      'FORBIDDEN',
    ]);
    const denied = await api.ask('agent', 'POST', '/v1/runs/none/cancel', { reason: 'x' });
    assert.deepEqual([...codes(denied), denied.body.permission], [403, 'FORBIDDEN', 'run.operate']);
    assert.deepEqual(codes(await api.ask('agent', 'DELETE', '/v1/keys/none')), [403, 'FORBIDDEN']);
  });

  it('leave a record each, the credential in none of them', async () => {
    // First records what was counted so far.
    await api.deps.anonymous.flush();
    const before = await types();
    const secret = `cs_${'A'.repeat(43)}`;
    for (const credential of [null, secret, 'garbage', 'a.b.c']) {
      const refused = await api.ask(credential, 'GET', '/v1/whoami');
      assert.deepEqual(codes(refused), [401, 'UNAUTHENTICATED']);
      assert.match(refused.headers.get('www-authenticate') ?? '', /^Bearer/);
    }
    await api.ask('agent', 'GET', '/v1/audit');
    await start('{');
    await api.ask('agent', 'PUT', '/v1/runs');
    const later = await types();
    const made = (type: string): number => (later.get(type) ?? 0) - (before.get(type) ?? 0);
    assert.deepEqual([made('authn.failed'), made('authz.denied'), made('request.refused')], [4, 1, 2]);
    assert.ok(made('api.called') >= 7);
    const { rows } = await api.database.asSuperuser(
      `select count(*) as found from audit_record where position($1::bytea in body) > 0`,
      [Buffer.from(secret)],
    );
    assert.equal(Number(rows[0]?.found), 0);
  });

  const types = async (): Promise<Map<string, number>> => {
    const { rows } = await api.database.asSuperuser(
      'select type, count(*) as count from audit_record group by type',
    );
    return new Map(rows.map((row: { type: string; count: string }) => [row.type, Number(row.count)]));
  };

  it('answer what is not HTTP with 400, and go on', async () => {
    const { hostname, port } = new URL(api.url);
    const answer = await new Promise<string>((resolve, reject) => {
      const socket = net.connect(Number(port), hostname, () => socket.write('nonsense\r\n\r\n'));
      let text = '';
      socket.on('data', (chunk: Buffer) => (text += chunk.toString()));
      socket.on('close', () => resolve(text));
      socket.on('error', reject);
    });
    assert.match(answer, /^HTTP\/1\.1 400 /);
    assert.equal((await api.ask(null, 'GET', '/livez')).status, 200);
  });
});

describe('a body', () => {
  it('is measured by what it holds too, before it is read', () => {
    const list = (count: number): string => `[${Array(count).fill('1').join(',')}]`;
    assert.equal(parse(list(50_000)).status, 'ok');
    assert.equal(parse(list(50_001)).status, 'too_large');
    assert.equal(parse('['.repeat(500_000)).status, 'too_large');
    assert.equal(parse(JSON.stringify(','.repeat(500_000))).status, 'ok', 'what stands in a text is text');
    assert.equal(parse(JSON.stringify('{["\\'.repeat(100_000))).status, 'ok');
    const names = (count: number): string =>
      `{"a":{${Array.from({ length: count }, (_, n) => `"k${n}":1`).join(',')}}}`;
    assert.equal(parse(names(10_000)).status, 'ok');
    assert.deepEqual(parse(names(10_001)), {
      status: 'refused',
      errors: [{ pointer: '/a', message: 'has more than 10000 names' }],
    });
    assert.deepEqual(parse('{"a":[0,{"b/c":1,"b/c":2}]}'), {
      status: 'refused',
      errors: [{ pointer: '/a/1/b~1c', message: 'stands twice in one object' }],
    });
  });

  const form = (bytes: Buffer) =>
    parseBody({ kind: 'raw', bytes, media: '' }, { kind: 'form', schema: z.any() });

  it('of a form is read in UTF-8 alone, and refused where other characters would be read than were sent', () => {
    for (const sent of ['reason=Caf%E9', 'reason=%ED%A0%BD', 'reason=%C3&x=%A9', 'Caf%e9=1']) {
      const read = form(Buffer.from(sent));
      assert.equal(read.kind === 'problem' && read.code, 'MALFORMED', sent);
    }
    const bytes = form(Buffer.from('reason=Caf\u00e9', 'latin1'));
    assert.equal(bytes.kind === 'problem' && bytes.code, 'MALFORMED');
    for (const sent of ['Caf%C3%A9 %EF%BF%BD 100% %zz%C3%A9', 'Café+%ef%bf%bd+100%25+%25zzé'])
      assert.deepEqual(form(Buffer.from(`reason=${sent}`)), {
        kind: 'body',
        body: { reason: 'Café \ufffd 100% %zzé' },
      });
  });

  it('of a form or a flow has bounds of its own, and a query too', () => {
    assert.equal(form(Buffer.from('a=1&b=2')).kind, 'body');
    const many = form(Buffer.from(Array.from({ length: 60_000 }, (_, n) => `a${n}`).join('&')));
    assert.equal(many.kind === 'problem' && many.code, 'TOO_LARGE');
    assert.equal(maxBytesOf({ kind: 'form', schema: z.any() }), 131_072);
    assert.equal(maxBytesOf({ kind: 'flow' }), 262_144);
    assert.equal(maxBytesOf({ kind: 'signed' }), 131_072);
    const query = (count: number) =>
      validateQuery(
        z.any(),
        new URLSearchParams(Array.from({ length: count }, (_, n) => `a${n}=`).join('&')),
      );
    assert.deepEqual([query(100).kind, query(101).kind], ['valid', 'problem']);
  });
});
