import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { projectRoot } from '../../testing/paths.js';

// docs/operating.md tells the limits, and the code has them: each figure of the page is the code's, and each limit of the
// code has its place on the page.

const page = readFileSync(join(projectRoot, 'docs/operating.md'), 'utf8');
const limits = page.slice(page.indexOf('## Limits'), page.indexOf('## Where it listens'));

const units: Readonly<Record<string, number>> = {
  KiB: 1024,
  MiB: 1024 * 1024,
  s: 1_000,
  h: 3_600_000,
  days: 86_400_000,
};

interface Row {
  readonly what: string;
  readonly figures: readonly number[];
  /** `file constant`. */
  readonly places: readonly string[];
}

const placesIn = (text: string): string[] =>
  [...text.matchAll(/`(src\/[\w./-]+\.ts)` `(\w+)`/g)].map(([, file, name]) => `${file} ${name}`);

const rows: readonly Row[] = limits
  .split('\n')
  .filter((line) => line.startsWith('| ') && placesIn(line).length > 0)
  .map((line) => line.slice(1, -1).split(' | '))
  .filter((cells) => cells.length === 4)
  .map(([what = '', most = '', , where = '']) => ({
    what: what.trim(),
    figures: most
      .split(';')
      .map((text) => /^\s*([\d,]+)(?: (KiB|MiB|s|h|days))?\s*$/.exec(text))
      .map((found) => Number((found?.[1] ?? '').replaceAll(',', '')) * (units[found?.[2] ?? ''] ?? 1)),
    places: placesIn(where),
  }));

/** Every number of the code that calls itself the most, the longest or the like. */
const declared = /^(?:export )?const (\w+) = ([\d_\w *]+);/gm;
const sizes = /^(?:most|max)(?:[A-Z]\w*)$|^longest\w*$/;
const values = new Map<string, string>();
const files = readdirSync(join(projectRoot, 'src'), { recursive: true, encoding: 'utf8' });
for (const file of files.filter((name) => name.endsWith('.ts')).sort())
  for (const [, name = '', text = ''] of readFileSync(join(projectRoot, 'src', file), 'utf8').matchAll(
    declared,
  ))
    values.set(`src/${file.replaceAll('\\', '/')} ${name}`, text);

/** A product of numbers and of constants with names of their own. */
function valueOf(place: string): number {
  const text = values.get(place);
  assert.ok(text !== undefined, `the code has no \`${place}\``);
  return text
    .split('*')
    .map((part) => part.trim())
    .map((part) => (/^[\d_]+$/.test(part) ? Number(part.replaceAll('_', '')) : named(place, part)))
    .reduce((product, factor) => product * factor, 1);
}

function named(place: string, name: string): number {
  const [file = ''] = place.split(' ');
  const own = `${file} ${name}`;
  const others = [...values.keys()].filter((key) => key.endsWith(` ${name}`));
  const found = values.has(own) ? own : others.length === 1 ? others[0] : undefined;
  assert.ok(found !== undefined, `\`${place}\` is made of \`${name}\`, which is not one number`);
  return valueOf(found);
}

/** In what the page counts: times in milliseconds, everything else as it is. */
const scale = (place: string): number => (place.endsWith('Seconds') ? 1_000 : 1);

describe('the limits in docs/operating.md', () => {
  it('are tables that can be read', () => {
    assert.ok(rows.length > 30, `${rows.length} rows`);
    for (const { what, figures, places } of rows) {
      assert.ok(
        figures.every((figure) => Number.isSafeInteger(figure) && figure > 0),
        what,
      );
      assert.ok(figures.length === places.length || figures.length === 1, `${what}: a figure for each place`);
    }
  });

  for (const { what, figures, places } of rows)
    it(`are the code's: ${what}`, () => {
      for (const [index, place] of places.entries())
        assert.equal(valueOf(place) * scale(place), figures[index] ?? figures[0], place);
    });

  it('have a place for every limit of the code, and none for what the code does not have', () => {
    const told = placesIn(limits);
    assert.equal(new Set(told).size, told.length, 'each stands once');
    const inCode = [...values]
      .filter(([place, text]) => sizes.test(place.split(' ')[1] ?? '') && /\d/.test(text))
      .map(([place]) => place)
      .filter((place) => !/^src\/(cli|embedded|processes)\//.test(place));
    const untold = inCode.filter((place) => !told.includes(place));
    assert.deepEqual(untold, [], 'a limit of the code that the page does not tell');
    assert.deepEqual(
      told.filter((place) => !values.has(place)),
      [],
    );
  });
});
