import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { loadFiles } from '../load.js';

// The schemas of a transition and of its tool must accept some call together.

async function findingsIn(
  own: string,
  urgent = '{ type: boolean, default: true }',
): Promise<readonly string[]> {
  const files = {
    'environments.yaml': 'environments: { dev: {} }\n',
    'tools/t.yaml': `tools:
  - name: pay
    tier: reversible
    inputSchema: { type: object, properties: { amount: { type: number }, urgent: ${urgent} }, $defs: { u: { type: boolean, default: true } } }
    executor: { kind: noop }
`,
    'flows/f.yaml': `workflows:
  f:
    owner: t
    initialState: a
    states:
      a: { transitions: { go: { target: done, tool: pay, inputSchema: ${own} } } }
      done: { terminal: true }
`,
  };
  const loaded = await loadFiles(files);
  const all = loaded.status === 'loaded' ? loaded.warnings : loaded.errors;
  return all.map((finding) => `${finding.code} ${finding.message}`);
}

describe('what a tool fills in', () => {
  it('is taken by the schema of its transition, or the file does not load', async () => {
    const amount = 'properties: { amount: { type: number } }';
    for (const closed of ['additionalProperties: false', 'unevaluatedProperties: false']) {
      const [only = '', ...more] = await findingsIn(`{ type: object, ${amount}, ${closed} }`);
      assert.match(only, /^SCHEMA_INVALID .*tool `pay`: the tool fills in `urgent`, .*: declare `urgent`$/u);
      assert.deepEqual(more, []);
      assert.match(
        (await findingsIn(`{ type: object, ${amount}, ${closed} }`, '{ $ref: "#/$defs/u" }')).join(),
        /the tool fills in `urgent`/u,
        'also where a reference leads to its default',
      );
    }
    const declared = 'properties: { amount: { type: number }, urgent: { type: boolean } }';
    for (const own of [
      `{ type: object, ${amount} }`,
      `{ type: object, ${declared}, additionalProperties: false }`,
      `{ type: object, ${amount}, allOf: [{ ${declared} }], unevaluatedProperties: false }`,
    ])
      assert.deepEqual(await findingsIn(own), [], own);
  });

  it('is what loading does not warn of', async () => {
    const [only = '', ...more] = await findingsIn(
      '{ type: object, anyOf: [{ properties: { n: { default: 1 } } }] }',
    );
    assert.match(only, /^DEFAULT_NOT_FILLED .*`\/anyOf\/0\/properties\/n` is not filled in: .* `anyOf`/u);
    assert.deepEqual(more, []);
  });
});
