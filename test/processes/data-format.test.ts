import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { lstatSync, mkdirSync, readdirSync, readFileSync, realpathSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { after, describe, it } from 'node:test';
import { dataFormatProblem, markDataFormat } from '../../src/processes/ownership/data-format.js';
import { startProduct } from '../../testing/servers/product.js';
import { temporaryFolder } from '../../testing/servers/servers.js';
import { writeFiles } from '../../testing/files.js';

// Data that this version cannot go on with is for its owner to move: nothing in the folder is written.

const folders: string[] = [];
after(() => folders.forEach((folder) => rmSync(folder, { recursive: true, force: true })));

function homeWith(files: Readonly<Record<string, string>>): string {
  const home = realpathSync(temporaryFolder('data-format'));
  folders.push(home);
  writeFiles(home, files);
  return home;
}

/** Every entry with its kind, size, times and content, the folder itself included. */
function everythingIn(home: string): readonly string[] {
  return ['', ...readdirSync(home, { recursive: true, encoding: 'utf8' })].sort().map((path) => {
    const { mode, size, mtimeNs, ctimeNs } = lstatSync(join(home, path), { bigint: true });
    const isFolder = lstatSync(join(home, path)).isDirectory();
    const hash = isFolder
      ? ''
      : createHash('sha256')
          .update(readFileSync(join(home, path)))
          .digest('hex');
    return [path, mode, size, mtimeNs, ctimeNs, hash].join(' ');
  });
}

const data = {
  'postgres/PG_VERSION': '16\n',
  'temporal/temporal.db': 'runs',
  'dev-keys.json': '{"agent":"k"}',
};
const before = { ...data, 'postgres.json': '{"port":1}', 'processes.json': '{}' };
const format = (text: string): Readonly<Record<string, string>> => ({ ...before, 'format.json': text });
const reads = 'and this version reads 2';
const refused: readonly [string, Readonly<Record<string, string>>, string][] = [
  ['of format 1', format('{"format":1}\n'), `has format \`1\`, ${reads}`],
  ['of format 3, which a later version wrote', format('{"format":3}\n'), `has format \`3\`, ${reads}`],
  ['whose format is text', format('{"format":"2"}\n'), `has format \`"2"\`, ${reads}`],
  ['whose format is not said', format('{}'), `has a \`format.json\` that cannot be read, ${reads}`],
  ['whose format is null', format('null'), `has a \`format.json\` that cannot be read, ${reads}`],
  ['whose format is no JSON', format('{"format":'), `has a \`format.json\` that cannot be read, ${reads}`],
  ['whose format is empty', format(''), `has a \`format.json\` that cannot be read, ${reads}`],
  ['from before there was a format', before, 'is of a Countersign from before format 2'],
  ...['postgres/PG_VERSION', 'postgres.json', 'temporal/temporal.db', 'processes.json'].map(
    (file): [string, Readonly<Record<string, string>>, string] => [
      `that has nothing but \`${file}\``,
      { [file]: 'x' },
      'is of a Countersign from before format 2',
    ],
  ),
];

describe('a data folder that this version cannot go on with', () => {
  for (const [which, files, why] of refused)
    it(`${which}: is refused in a sentence that says what to do, and nothing in it is touched`, () => {
      const home = homeWith(files);
      const as = everythingIn(home);
      const problem = dataFormatProblem(home) ?? '';
      assert.ok(problem.startsWith(`the data folder \`${home}\` ${why}`), problem);
      assert.match(
        problem,
        /it is left as it is: start with another folder, `COUNTERSIGN_HOME=\S+ npm start`/,
      );
      assert.match(problem, /or move this one away$/);
      assert.deepEqual(everythingIn(home), as);
    });

  for (const [which, files, why] of refused.filter(([which]) =>
    /format (1|is empty)|from before/.test(which),
  ))
    it(`${which}: stops \`npm start\` with status 1, before anything is started or written`, async () => {
      const home = homeWith(files);
      const as = everythingIn(home);
      const product = await startProduct({ home });
      assert.deepEqual(await product.exited, { code: 1, signal: null });
      assert.ok(product.output().includes(`the data folder \`${home}\` ${why}`), product.output());
      assert.ok(product.output().includes('or move this one away'), product.output());
      assert.deepEqual(everythingIn(home), as);
    });
});

describe('a data folder that is new', () => {
  it('is marked with the format, and is taken from then on', () => {
    const home = homeWith({});
    assert.equal(dataFormatProblem(home), null);
    markDataFormat(home);
    assert.equal(readFileSync(join(home, 'format.json'), 'utf8'), '{"format":2}\n');
    mkdirSync(join(home, 'postgres'));
    assert.equal(dataFormatProblem(home), null);
  });
});
