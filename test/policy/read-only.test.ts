import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { after, describe, it } from 'node:test';
import { loadFolder, type FolderResult } from '../../src/policy/index.js';

// What calls itself a read passes gates and floors, so no file can call a writing method one.

const made: string[] = [];
after(() => made.forEach((path) => rmSync(path, { recursive: true, force: true })));

function load(files: Readonly<Record<string, string>>): Promise<FolderResult> {
  const root = join(mkdtempSync(join(tmpdir(), 'countersign-read-only-')), 'policies');
  made.push(dirname(root));
  const erp = 'connections: { erp: { kind: rest, baseUrl: https://erp.example } }';
  for (const [path, text] of Object.entries({ 'connections.yaml': erp, ...files })) {
    mkdirSync(dirname(join(root, path)), { recursive: true });
    writeFileSync(join(root, path), text);
  }
  return loadFolder(root);
}

type Place = (method: string, more: string) => Readonly<Record<string, string>>;
const call = (method: string): string => `{ kind: rest, connection: erp, method: ${method}, path: /x }`;
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
  result.status === 'invalid' ? result.errors.map((one) => one.code) : [];

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
      const told = JSON.stringify([result.catalog.tools, result.flows.map((one) => one.plan)]);
      assert.match(told, /"readOnlyBecause":"a search"/);
    });

    it('takes GET and HEAD, and no reason for them', async () => {
      for (const method of ['GET', 'HEAD']) {
        assert.deepEqual(codes(await load(files(method, ''))), []);
        assert.deepEqual(codes(await load(files(method, because))), ['WRONG_VALUE']);
      }
    });
  });
