import { countBlocks } from '../../../testing/blocks.js';

// `mask-written.test.ts` starts it, as a process of its own. Writes, of a secret that repeats each of these, the work that taking
// a quarter of it apart takes, and all of it. What is done within one expression or one method of a text is not in it.

const { drain: drained } = await import('../../../src/executors/masking/find.js');
const { partsOf } = await import('../../../src/executors/masking/secrets/parts.js');

const shapes = [
  ...['<', '<a', '<a>', '<![CDATA[', '<![CDATA[x]]>', '<!--', '<a>&lt;a>', '<a b="', '>'].map((unit) => [
    '<a>',
    unit,
  ]),
  ...['<a b=">" c=\'x\'>', ' b="&lt;"', " b='", ' b', 'b=', 'b = '].map((unit) => ['<a ', unit]),
  ...['\\', '\\:', ':\\', '\\ ', ' \\', '\\u00', 'a:\\|', '"\\'].map((unit) => ['a:', unit]),
] as const;

function workOf(start: string, unit: string, size: number): number {
  countBlocks();
  drained(partsOf(start + unit.repeat(Math.ceil(size / unit.length))));
  return countBlocks();
}

const size = 20_000;
const counts = shapes.map(([start = '', unit = '']) => {
  // What is made once in a process is made before.
  workOf(start, unit, 100);
  return [start + unit, [workOf(start, unit, size / 4), workOf(start, unit, size)]] as const;
});
process.stdout.write(JSON.stringify(Object.fromEntries(counts)));
