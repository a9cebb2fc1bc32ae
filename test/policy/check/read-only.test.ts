import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { FolderResult } from '../../../src/policy/index.js';
import { loadFiles } from '../load.js';

// What calls itself a read passes gates and floors, so no file can call a method that writes a read.

function load(files: Readonly<Record<string, string>>): Promise<FolderResult> {
  const erp =
    'connections: { erp: { kind: rest, baseUrl: https://erp.example }, tools: { kind: mcp, url: https://erp.example }, shell: { kind: cli, command: ls } }';
  return loadFiles({ 'connections.yaml': erp, ...files });
}

/** `what`: a method, or another kind of executor. */
type Place = (what: string, more: string) => Readonly<Record<string, string>>;
const others: Readonly<Record<string, string>> = {
  'an MCP tool': '{ kind: mcp, connection: tools, tool: x }',
  'a command': '{ kind: cli, connection: shell, args: [x] }',
};
const call = (what: string): string =>
  others[what] ?? `{ kind: rest, connection: erp, method: ${what}, path: /x }`;
const fallback = (method: string): string =>
  `{ kind: rest, connection: erp, method: GET, path: /x, reliability: { fallback: { strategy: first_success, executors: [${call(method)}] } } }`;
const flow = (open: string): Readonly<Record<string, string>> => ({
  'flows/f.yaml': `workflows: { f: { owner: t, initialState: open, states: { open: ${open}, done: { terminal: true } } } }`,
});
const tool = (executor: string, more: string): string =>
  `{ name: look, tier: read_only, ${more} executor: ${executor} }`;

const places: Readonly<Record<string, Place>> = {
  'a tool': (method, more) => ({ 'tools/t.yaml': `tools: [${tool(call(method), more)}]` }),
  'a proxied tool': (method, more) => ({
    'tools/t.yaml': `proxy: { expose: [${tool(call(method), more)}] }`,
  }),
  "a tool's fallback": (method, more) => ({ 'tools/t.yaml': `tools: [${tool(fallback(method), more)}]` }),
  'a transition': (method, more) =>
    flow(`{ transitions: { go: { target: done, tier: read_only, ${more} executor: ${call(method)} } } }`),
  "a transition's fallback": (method, more) =>
    flow(`{ transitions: { go: { target: done, tier: read_only, ${more} executor: ${fallback(method)} } } }`),
  'an onEnter': (method, more) =>
    flow(
      `{ onEnter: { tier: read_only, ${more} executor: ${call(method)} }, transitions: { go: { target: done } } }`,
    ),
  'a transition that gives a tool its tier': (method, more) => ({
    'tools/t.yaml': `tools: [{ name: look, executor: ${call(method)} }]`,
    ...flow(`{ transitions: { go: { target: done, tier: read_only, ${more} tool: look } } }`),
  }),
};
const because = 'readOnlyBecause: a search,';
const codes = (result: FolderResult): readonly string[] =>
  result.status === 'invalid' ? result.errors.map((finding) => finding.code) : [];

/** The findings about reads, with the last segment of each path. */
const warnings = (result: Extract<FolderResult, { status: 'loaded' }>): readonly string[] =>
  result.warnings
    .filter((finding) => finding.code === 'READ_ONLY_UNEXPLAINED')
    .map((finding) => `${finding.code} ${finding.path.slice(finding.path.lastIndexOf('/'))}`);

for (const [place, files] of Object.entries(places))
  describe(`tier: read_only on ${place}`, () => {
    for (const method of ['PUT', 'PATCH', 'DELETE'])
      it(`refuses ${method}, whatever its author says`, async () => {
        assert.deepEqual(codes(await load(files(method, ''))), ['READ_ONLY_WRITES']);
        assert.ok(codes(await load(files(method, because))).includes('READ_ONLY_WRITES'));
      });

    it('takes POST only with a reason, which stands in the plan', async () => {
      assert.deepEqual(codes(await load(files('POST', ''))), ['READ_ONLY_WRITES']);
      const empty = codes(await load(files('POST', "readOnlyBecause: ' ',")));
      assert.deepEqual(empty, ['WRONG_VALUE']);
      const result = await load(files('POST', because));
      assert.ok(result.status === 'loaded', JSON.stringify(result));
      const told = JSON.stringify([result.catalog.tools, result.flows.map((published) => published.plan)]);
      assert.match(told, /"readOnlyBecause":"a search"/);
    });

    for (const what of Object.keys(others))
      it(`takes ${what} with a reason, which is in the plan, and warns without a reason`, async () => {
        const bare = await load(files(what, ''));
        assert.ok(bare.status === 'loaded', JSON.stringify(bare));
        assert.deepEqual(warnings(bare), ['READ_ONLY_UNEXPLAINED /tier']);
        assert.deepEqual(codes(await load(files(what, "readOnlyBecause: ' ',"))), ['WRONG_VALUE']);
        const result = await load(files(what, because));
        assert.ok(result.status === 'loaded', JSON.stringify(result));
        assert.deepEqual(warnings(result), []);
        const told = JSON.stringify([result.catalog.tools, result.flows.map((published) => published.plan)]);
        assert.match(told, /"readOnlyBecause":"a search"/);
        const changes = Object.entries(files(what, because)).map(([path, text]) => [
          path,
          text.replaceAll('tier: read_only', 'tier: reversible'),
        ]);
        assert.deepEqual(codes(await load(Object.fromEntries(changes))), ['WRONG_VALUE']);
      });

    it('takes no reason that nobody can read', async () => {
      for (const blank of ['\\u2060', '\\u200b \\u00a0', '\\u3164'])
        assert.deepEqual(codes(await load(files('POST', `readOnlyBecause: "${blank}",`))), ['WRONG_VALUE']);
    });

    it('refuses what makes a GET another method', async () => {
      const ways = [
        ['path: /x', 'path: /x, headers: { X-HTTP-Method-Override: DELETE }'],
        ['path: /x', 'path: /x, headers: { x-http-method: $.context.m }'],
        ['path: /x', 'path: /x, query: { _method: delete }'],
        ['path: /x', 'path: "/x?a=1&_METHOD=delete"'],
        ['path: /x', 'path: /x, query: { _HttpMethod: PATCH }'],
        ['path: /x', 'path: "/x?a=1;_method=delete"'],
        ['path: /x', 'path: "/x?{$.context.k}={$.context.v}"'],
        ['path: /x', 'path: "/x?a=1&[_{$.context.k}]=1"'],
        ['path: /x', 'path: "/x?a=1&[_method]=1"'],
        ['path: /x', 'path: /x, query: { "[_method]": DELETE }'],
      ] as const;
      for (const [plain, written] of ways) {
        const changed = Object.entries(files('GET', '')).map(([path, text]) => [
          path,
          text.replaceAll(plain, written),
        ]);
        const found = codes(await load(Object.fromEntries(changed)));
        assert.ok(found.includes('READ_ONLY_WRITES'), `${written}: ${found.join()}`);
      }
      const shared = {
        'connections.yaml':
          'connections: { erp: { kind: rest, baseUrl: https://erp.example, headers: { X-Method-Override: PUT } } }',
      };
      assert.ok(codes(await load({ ...files('GET', ''), ...shared })).includes('READ_ONLY_WRITES'));
    });

    it('refuses a body that makes a POST another method, and takes a body that is filled in', async () => {
      const withBody = async (body: string): Promise<readonly string[]> => {
        const changed = Object.entries(files('POST', because)).map(([path, text]) => [
          path,
          text.replaceAll('method: POST, path: /x', `method: POST, path: /x, body: ${body}`),
        ]);
        return codes(await load(Object.fromEntries(changed)));
      };
      for (const body of [
        ...['{ _method: DELETE }', '{ _method: $.context.m }', '{ q: 1, _HttpMethod: PATCH }'],
        ...[
          '"a=1&_method=DELETE"',
          '"a=1&_method={$.context.m}"',
          '{ q: { _method: 1 } }',
          '[{ _method: 1 }]',
          '{ query: "mutation { pay(id: {$.context.id}) }" }',
          '[{ query: "{ me }" }, { query: "subscription { me }" }]',
        ],
        '"q={$.context.q}", headers: { content-type: multipart/form-data; boundary=b }',
        '"q={$.context.q}", headers: { content-type: application/x-www-form-urlencoded; charset=utf-16 }',
      ])
        assert.ok((await withBody(body)).includes('READ_ONLY_WRITES'), body);
      for (const body of [
        '{ method: $.context.m, q: { payment_method: 1 } }',
        '$.context.filter',
        '"q={$.context.q}"',
        '{ query: "query mutation { subscription(id: {$.context.id}) { id } }" }',
      ])
        assert.ok(!(await withBody(body)).includes('READ_ONLY_WRITES'), body);
    });

    it('takes GET and HEAD, and no reason for them', async () => {
      for (const method of ['GET', 'HEAD']) {
        assert.deepEqual(codes(await load(files(method, ''))), []);
        assert.deepEqual(codes(await load(files(method, because))), ['WRONG_VALUE']);
      }
    });
  });

it('a GET whose connection makes it another method says so in its plan, in whatever environment', async () => {
  const erp = (headers: string): string =>
    `connections: { erp: { environments: { test: { kind: rest, baseUrl: https://erp.example, headers: { ${headers} } }, dev: { kind: rest, baseUrl: https://erp.example } } } }`;
  const files = flow(
    `{ onEnter: { executor: ${call('GET')} }, transitions: { go: { target: done, executor: ${fallback('GET')} } } }`,
  );
  const environments = { 'environments.yaml': 'environments: { dev: {}, test: {} }' };
  const planWith = async (headers: string): Promise<string> => {
    const result = await load({ ...files, ...environments, 'connections.yaml': erp(headers) });
    assert.ok(result.status === 'loaded', JSON.stringify(result));
    return JSON.stringify(result.flows.map(({ plan }) => plan));
  };
  assert.equal((await planWith('X-HTTP-Method: PUT')).match(/"overriddenBy":"X-HTTP-Method"/g)?.length, 3);
  assert.match(await planWith('Content-Type: multipart/mixed'), /"overriddenBy":"multipart"/);
  assert.doesNotMatch(await planWith('X-Other: PUT'), /overriddenBy/);
});
