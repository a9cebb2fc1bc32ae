import assert from 'node:assert/strict';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { before, describe, test } from 'node:test';
import { parseDocument, type Document } from 'yaml';
import {
  checkFlowText,
  findingCodes,
  findings,
  loadFolder,
  unsetWarnings,
  type Catalog,
  type Finding,
} from '../../../src/policy/index.js';
import { block, entries, filesOf, page, type Example, type Files } from '../examples.js';
import { loadFiles } from '../load.js';

// docs/checks.md is the input: in its bad examples exactly their code is found, at the place that they mark, and in its good
// examples nothing is.

const beside = filesOf(block(page, 'beside')?.text ?? '');

/** `\xff` stands for that byte. */
const bytes = (text: string): Buffer =>
  Buffer.concat(
    text
      .split(/(\\x[0-9a-f]{2})/)
      .map((piece) =>
        /^\\x/.test(piece) ? Buffer.from([parseInt(piece.slice(2), 16)]) : Buffer.from(piece),
      ),
  );

async function load(files: Files) {
  const written = Object.entries({ ...beside, ...files }).map(([path, text]) => [path, bytes(text)] as const);
  const loaded = await loadFiles(Object.fromEntries(written));
  if (loaded.status === 'invalid') return loaded;
  const unset = await unsetWarnings(loaded.references, whyUnset);
  return { ...loaded, warnings: [...loaded.warnings, ...unset] };
}

/** On the machine of these examples, references with these names have no value. */
function whyUnset(reference: string): Promise<string | null> {
  return Promise.resolve(reference.endsWith('_UNSET') ? `reference \`${reference}\` has no value` : null);
}

let catalog: Catalog;
before(async () => {
  const loaded = await load({});
  assert.ok(loaded.status === 'loaded', JSON.stringify(loaded));
  assert.deepEqual(loaded.warnings, []);
  catalog = loaded.catalog;
});

async function findingsIn({ text, where }: Example): Promise<readonly Finding[]> {
  const found =
    where === 'alone'
      ? checkFlowText(text, { catalog, file: 'flows/refund.yaml' })
      : await (where === 'folder'
          ? load(filesOf(text))
          : loadFolder(join(tmpdir(), 'countersign-documented', 'nothing')));
  const warnings = 'warnings' in found ? found.warnings : [];
  return [...(found.status === 'invalid' ? found.errors : []), ...warnings];
}

/** The file and the line with the mark. */
function mark({ text }: Example): readonly [file: string, line: number] | null {
  for (const [file, content] of Object.entries(filesOf(text))) {
    const line = content.split('\n').findIndex((written) => written.endsWith('# here'));
    if (line !== -1) return [file, line + 1];
  }
  return null;
}

/** Where an entry says that its warning is acknowledged: the list for it, in the document of its finding. */
function acknowledge(document: Document, place: string, { code, path }: Finding): void {
  const accepted = document.createNode([{ code, reason: 'it is meant so' }]);
  if (place === 'on the tool') {
    const [, list, index] = path.split('/');
    return document.setIn([list, Number(index), 'acknowledge'], accepted);
  }
  const isFlow = place === 'on the flow' && document.has('workflows');
  document.setIn(isFlow ? ['workflows', path.split('/')[2], 'acknowledge'] : ['acknowledge'], accepted);
}

describe('docs/checks.md', () => {
  test('has an entry for every code, in their order, and for nothing else', () => {
    assert.deepEqual([...entries.keys()], findingCodes);
  });

  test('says of each whether it is an error or a warning', () => {
    for (const code of findingCodes)
      assert.match(entries.get(code) ?? '', new RegExp(`^${code}\n\n${findings[code].severity}[.,] `, 'i'));
  });
});

describe('a documented bad example', () => {
  for (const code of findingCodes)
    test(`${code} is found, and nothing else, where the page says`, async () => {
      const bad = block(entries.get(code) ?? '', 'bad');
      assert.ok(bad !== null, 'it has a bad example');
      const found = await findingsIn(bad);
      assert.deepEqual(
        [...new Set(found.map((finding) => finding.code))],
        [code],
        JSON.stringify(found, null, 1),
      );
      if (bad.where === 'without a folder') return;
      const at = mark(bad);
      assert.ok(at !== null, 'it has a mark');
      assert.ok(
        found.some((finding) => finding.file === at[0] && finding.line === at[1]),
        `${at.join(':')} ${JSON.stringify(found, null, 1)}`,
      );
    });
});

describe('a documented good example', () => {
  for (const code of findingCodes)
    test(`${code} is right`, async () => {
      const good = block(entries.get(code) ?? '', 'good');
      assert.ok(good !== null, 'it has a good example');
      assert.deepEqual(
        (await findingsIn(good)).filter((finding) => finding.acknowledged === undefined),
        [],
      );
    });
});

describe('a documented warning', () => {
  const warnings = findingCodes.filter((listed) => findings[listed].severity === 'warning');
  for (const code of warnings.filter(
    (listed) => !['ACKNOWLEDGED_NOTHING', 'REFERENCE_UNSET'].includes(listed),
  ))
    test(`${code} is acknowledged where the page says`, async () => {
      const entry = entries.get(code) ?? '';
      const place = /Acknowledge it (on the flow|on the tool|at the top of the file)\./.exec(entry)?.[1];
      const bad = block(entry, 'bad');
      assert.ok(place !== undefined && bad !== null, 'it says where');
      const [first] = await findingsIn(bad);
      assert.ok(first?.file !== undefined);
      const files = filesOf(bad.text);
      const document = parseDocument(files[first.file] ?? '');
      acknowledge(document, place, first);
      const again = await findingsIn({
        ...bad,
        text: Object.entries({ ...files, [first.file]: document.toString({ lineWidth: 0 }) })
          .map(([file, text]) => `# ${file}\n${text}`)
          .join(''),
      });
      assert.ok(again.length > 0);
      assert.deepEqual(
        again.map((finding) => [finding.code, finding.acknowledged]),
        again.map(() => [code, 'it is meant so']),
        JSON.stringify(again, null, 1),
      );
    });
});
