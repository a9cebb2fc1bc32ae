import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { check } from '../../../src/cli/check.js';
import type { Finding } from '../../../src/policy/index.js';
import { block, entries, filesOf } from '../../policy/examples.js';
import { startApi, type Harness } from '../harness.js';

// The command and the service find the same problems in a flow.

let api: Harness;
let folder: string;
before(async () => {
  api = await startApi();
  folder = mkdtempSync(join(tmpdir(), 'countersign-flow-check-'));
});
after(async () => {
  await api.stop();
  rmSync(folder, { recursive: true });
});

/** Without the file, which a flow that is sent as a text does not have. */
const bare = (found: readonly Finding[]): unknown[] => found.map(({ file: _file, ...finding }) => finding);

async function both(text: string) {
  const path = join(folder, 'flow.yaml');
  writeFileSync(path, text);
  const [here] = await check([path], { COUNTERSIGN_POLICIES: join(api.home, 'policies') });
  const there = await api.ask('agent', 'POST', '/v1/flows/check', text, {
    'content-type': 'application/yaml',
  });
  assert.ok(here !== undefined);
  assert.equal(there.status, 200, there.text);
  assert.deepEqual(there.body, {
    valid: here.valid,
    errors: bare(here.errors),
    warnings: bare(here.warnings),
  });
  return here;
}

describe('POST /v1/flows/check and countersign check', () => {
  it('find the same in every flow of docs/checks.md, place by place', async () => {
    const flows = [...entries.values()].flatMap((entry) =>
      ['bad', 'good'].flatMap((info) => Object.entries(filesOf(block(entry, info)?.text ?? ''))),
    );
    const texts = flows.flatMap(([file, text]) => (file.startsWith('flows/') ? [text] : []));
    assert.ok(texts.length > 60, String(texts.length));
    const codes = new Set<string>();
    for (const text of texts) {
      const { errors, warnings } = await both(text);
      for (const finding of [...errors, ...warnings]) codes.add(finding.code);
    }
    assert.ok(codes.size > 30, [...codes].join(' '));
  });

  it('keep an acknowledged warning in sight, with its reason', async () => {
    const { warnings } = await both(`workflows:
  refund:
    acknowledge: [{ code: NO_OWNER, reason: everybody's }]
    initialState: done
    states: { done: { terminal: true } }
`);
    assert.deepEqual(
      warnings.map((finding) => [finding.code, finding.acknowledged]),
      [['NO_OWNER', "everybody's"]],
    );
  });

  it('tell of YAML that was sent as JSON where JSON ends, and how to send it', async () => {
    const json = { 'content-type': 'application/json' };
    const { body } = await api.ask('agent', 'POST', '/v1/flows/check', 'workflows:\n  f: {}\n', json);
    const [{ line, column, message }] = body.errors;
    assert.equal(
      `${line}:${column} ${message}`,
      '1:1 not JSON: unexpected `workflows`; if it is YAML, send it as `application/yaml`',
    );
  });
});
