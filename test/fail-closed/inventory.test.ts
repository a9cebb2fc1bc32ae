import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import ts from 'typescript';
import { kinds } from '../../src/executors/find-kind.js';
import { errorTable } from '../../src/model/contract/errors.js';
import { messageRefusals } from '../../src/model/message.js';
import { cellName, conditions } from './support/cells.js';
import { documentPath, readInventory, type Inventory, type Place } from './support/document.js';
import { hasTest, registeredCells } from './support/registered.js';
import { parse, scan, sourceFiles, type Site } from './support/scan.js';

// The document, the tests and the code say the same: no decision point without a row, no row without its tests.

const inventory = readInventory();
const files = sourceFiles().map((path) => parse(path));
const where = (site: Site): string => `${site.file}:${site.line} in \`${site.in}\``;

function holds(place: Place, site: Site): boolean {
  if (place.file.endsWith('/')) return site.file.startsWith(place.file);
  return place.file === site.file && (place.functions?.includes(site.in) ?? true);
}

/** Sentences that say what to add. */
function missing(sites: readonly Site[], { rows, asides }: Inventory): string[] {
  const set = sites.filter((site) => !asides.some(({ places }) => places.some((one) => holds(one, site))));
  const unlisted = set
    .filter((site) => !rows.some(({ places }) => places.some((one) => holds(one, site))))
    .map(
      (site) =>
        `${where(site)} ${site.what} and is in no row of ${documentPath}: add \`${site.file}\` (\`${site.in}\`) to \`where\` of the row that it belongs to, or a row of its own with a test \`fail-closed: <id>: <condition>\` for each condition that can befall it`,
    );
  const untold = set
    .filter(({ code, file }) => code !== null && !tells(rows, file, code))
    .map(
      (site) =>
        `${where(site)} refuses with \`${String(site.code)}\`, which no row of ${documentPath} with that file names: say in its cells when that happens, and force it in the test of that cell`,
    );
  return [...new Set([...unlisted, ...untold])];
}

function tells(rows: Inventory['rows'], file: string, code: string): boolean {
  return rows.some(
    (row) => row.places.some((one) => one.file === file) && new RegExp(`\\b${code}\\b`).test(row.text),
  );
}

describe('docs/fail-closed.md', () => {
  test('has every place in the code that can say no', () => {
    assert.deepEqual(missing(scan(files), inventory), []);
  });

  test('fails when code that refuses comes without its row', () => {
    const added = parse(
      'src/engine/weather.ts',
      `import { refuse } from './draft.js';
       type Rain = { status: 'dry' } | { status: 'refused'; reason: string };
       export function forecast(n: number): Rain { return n > 1 ? { status: 'dry' } : later(n); }
       const later = (n: number) => ({ status: 'refused', reason: 'too_wet' });
       export function umbrellaProblem(): string | null { return null; }
       export function storm(draft: never) { refuse(draft, 'm', { code: 'RUN_STUCK', message: 'rain' }); }
       export function flood() { throw new Error('flood'); }
       export const sun = () => ({ status: 'dry' });`,
    );
    const said = missing(scan([...files, added]), inventory);
    for (const name of ['forecast', 'later', 'umbrellaProblem', 'storm', 'flood'])
      assert.ok(
        said.some((one) => one.includes(`in \`${name}\``) && one.includes('add `src/engine/weather.ts`')),
        name,
      );
    assert.ok(
      said.some((one) => one.includes('`too_wet`')) && said.some((one) => one.includes('`RUN_STUCK`')),
    );
    assert.ok(!said.some((one) => one.includes('`sun`')));
  });

  test('fails when a file that has a row refuses with another code', () => {
    const text = `export function check() { return { code: 'DIGEST_MISMATCH', message: 'no' }; }`;
    const said = missing(scan([parse('src/engine/run/submit.ts', text)]), inventory);
    assert.equal(said.length, 1);
    assert.match(String(said[0]), /refuses with `DIGEST_MISMATCH`, which no row/);
  });

  test('names files and functions that are there', () => {
    const named = [...inventory.rows, ...inventory.asides].flatMap((one) => one.places);
    const gone = named.flatMap(({ file, functions }) => {
      if (file.endsWith('/')) return sourceFiles().some((one) => one.startsWith(file)) ? [] : [file];
      const source = files.find((one) => one.fileName === file);
      if (source === undefined) return [file];
      return (functions ?? []).filter((name) => !declares(source, name)).map((name) => `${file} (${name})`);
    });
    assert.deepEqual(gone, [], 'these are gone from the code: correct their rows');
  });

  test('says why wherever a condition cannot befall a point', () => {
    const bare = inventory.rows.flatMap(({ id, cells }) =>
      conditions
        .filter((one) => !/^n\/a: \S|^[^n]|^n[^/]/.test(cells[one].text))
        .map((one) => `${id}: ${one}`),
    );
    assert.deepEqual(bare, [], 'an empty cell, or an `n/a` without its reason');
    assert.ok(inventory.asides.every(({ why, places }) => why !== '' && places.length > 0));
  });

  test('has each id once, and a place for each', () => {
    const ids = inventory.rows.map((one) => one.id);
    assert.deepEqual(
      ids.filter((id, index) => ids.indexOf(id) !== index),
      [],
    );
    assert.deepEqual(
      inventory.rows.filter((one) => one.places.length === 0).map((one) => one.id),
      [],
    );
  });

  test('knows every word that the code can refuse with', () => {
    const text = inventory.rows.map((one) => one.text).join('\n');
    const words = [...Object.keys(errorTable), ...messageRefusals, ...literalsOf('BlockRule')];
    assert.deepEqual(
      words.filter((word) => !new RegExp(`\\b${word}\\b`).test(text)),
      [],
      'no row says when these happen',
    );
  });

  test('has a row for each kind of guard and of executor', () => {
    const ids = new Set(inventory.rows.map((one) => one.id));
    const wanted = [
      ...kindsOf('Guard').map((kind) => `guard.${kind}`),
      ...['human', ...kinds.map(({ kind: name }) => name)].map((kind) => `executor.${kind}`),
    ];
    assert.ok(wanted.length >= 12);
    assert.deepEqual(
      wanted.filter((id) => !ids.has(id)),
      [],
    );
  });
});

describe('every cell of docs/fail-closed.md', () => {
  const registered = registeredCells();

  test('has a test of its name, or names the test that forces it', () => {
    const bare = inventory.rows.flatMap(({ id, cells }) =>
      conditions
        .filter((one) => cells[one].applies && cells[one].references.length === 0)
        .map((one) => cellName(id, one))
        .filter((name) => !registered.includes(name)),
    );
    assert.deepEqual(bare, [], 'these cells are claimed and not forced: write their tests');
  });

  test('names tests that are there', () => {
    const gone = inventory.rows.flatMap(({ id, cells }) =>
      conditions.flatMap((one) =>
        cells[one].references
          .filter(({ file, name }) => !hasTest(file, name))
          .map(({ file, name }) => `${id}, ${one}: ${file} has no test \`${name}\``),
      ),
    );
    assert.deepEqual(gone, []);
  });

  test('is in the document for each test that forces one', () => {
    const claimed = inventory.rows.flatMap(({ id, cells }) =>
      conditions.filter((one) => cells[one].applies).map((one) => cellName(id, one)),
    );
    assert.deepEqual(
      registered.filter((name) => !claimed.includes(name)),
      [],
      'these tests have no row, or the row says n/a',
    );
    assert.equal(new Set(registered).size, registered.length, 'two tests of one name');
  });
});

function declares(source: ts.SourceFile, name: string): boolean {
  return source.statements.some((one) =>
    ts.isVariableStatement(one)
      ? one.declarationList.declarations.some((each) => each.name.getText() === name)
      : (ts.isFunctionDeclaration(one) || ts.isClassDeclaration(one)) && one.name?.text === name,
  );
}

function aliasOf(name: string): ts.TypeNode {
  for (const file of files)
    for (const one of file.statements)
      if (ts.isTypeAliasDeclaration(one) && one.name.text === name) return one.type;
  throw new Error(`there is no type \`${name}\` any more: correct this test`);
}

function literalsOf(name: string): string[] {
  return [
    ...aliasOf(name)
      .getText()
      .matchAll(/'(\w+)'/g),
  ].map(([, word = '']) => word);
}

/** The `kind` of each arm of a union. */
function kindsOf(name: string): string[] {
  const type = aliasOf(name);
  assert.ok(ts.isUnionTypeNode(type));
  return type.types.flatMap((arm) => {
    if (!ts.isTypeLiteralNode(arm)) return [];
    const kind = arm.members.find((one) => one.name?.getText() === 'kind');
    const [, word] = /'(\w+)'/.exec(kind?.getText() ?? '') ?? [];
    return word === undefined ? [] : [word];
  });
}
