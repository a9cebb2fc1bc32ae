import assert from 'node:assert/strict';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { it } from 'node:test';
import { makeRandom, makeRequest } from '../../drill/fuzzing/requests.js';
import { flowText, largeFlows } from '../../drill/fuzzing/flows.js';
import { checkFlowText, loadFolder, type Catalog } from '../../src/policy/index.js';
import { shapeRequest, shapes, shapeText } from '../../drill/fuzzing/shapes.js';

it('the same seed makes the same requests', () => {
  const operations = [{ method: 'POST', path: '/v1/flows/{name}/runs', hasBody: true }];
  const known = { runs: [], approvals: [], digests: [], actions: [] };
  const made = (seed: number): unknown =>
    makeRequest(makeRandom(seed), operations, known, ['agent', 'admin'], 0.004);
  for (let seed = 0; seed < 200; seed += 1) assert.deepEqual(made(seed), made(seed));
  assert.notDeepEqual(made(1), made(2));
});

it('what takes long for its bytes is sent and answered in every shape, as JSON of a request’s size for the most part', () => {
  const known = { runs: ['run_1'], approvals: [], digests: [], actions: [] };
  const sent = new Set<string>();
  for (let seed = 0; seed < 2_000; seed += 1) {
    const { path, body } = shapeRequest(makeRandom(seed), known, ['agent']);
    if (path.endsWith('/call')) sent.add(String(body));
  }
  assert.equal(sent.size, shapes.length, [...sent].join(' '));
  const fitting = shapes.filter((shape) => Buffer.byteLength(shapeText(shape)) <= 1_048_576);
  assert.ok(fitting.length >= shapes.length - 2, fitting.join(' '));
  for (const shape of shapes) JSON.parse(shapeText(shape));
});

it('flows at the limits of what loads do load: a thousand deterministic transitions, six thousand guards', async () => {
  const catalog = await catalogOf();
  const count = (text: string, part: string): number => text.split(part).length - 1;
  const texts = largeFlows.map((one) => flowText(one, one));
  for (const text of texts) {
    assert.ok(Buffer.byteLength(text) <= 262_144, `${text.length}`);
    const checked = checkFlowText(text, { catalog });
    assert.equal(checked.status, 'valid', JSON.stringify(checked).slice(0, 2_000));
  }
  assert.deepEqual(
    texts.map((text) => [count(text, '"deterministic"') >= 990, count(text, '"expr":') >= 6_000]),
    [
      [true, false],
      [true, false],
      [false, true],
      [false, false],
      [false, false],
      [false, false],
    ],
  );
});

async function catalogOf(): Promise<Catalog> {
  const folder = await mkdtemp(join(tmpdir(), 'fuzz-'));
  try {
    await writeFile(join(folder, 'roles.yaml'), 'roles: { any: }\n');
    const loaded = await loadFolder(folder);
    if (loaded.status === 'invalid') throw new Error(JSON.stringify(loaded.errors));
    return loaded.catalog;
  } finally {
    await rm(folder, { recursive: true });
  }
}
