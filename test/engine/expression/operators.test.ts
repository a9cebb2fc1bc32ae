import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { it } from 'node:test';
import { parse } from 'yaml';
import type { Json } from '../../../src/model/values/json.js';
import { compare } from '../../../src/engine/expression/compare.js';
import { operators, type Operator } from '../../../src/engine/plan.js';

interface Table {
  readonly samples: Readonly<Record<string, readonly Json[]>>;
  readonly columns: readonly string[];
  readonly operators: Readonly<Record<string, Readonly<Record<string, readonly string[]>>>>;
}

const table = parse(readFileSync(new URL('../cases/operators.yaml', import.meta.url), 'utf8')) as Table;
const types = ['number', 'string', 'boolean', 'null', 'missing', 'array', 'object'];

const meanings: Readonly<Record<string, (left: Json, right: Json, same: boolean) => boolean | 'error'>> = {
  pass: () => true,
  fail: () => false,
  error: () => 'error',
  equal: (_left, _right, same) => same,
  differ: (_left, _right, same) => !same,
  less: (left, right) => Number(left) < Number(right),
  'at-most': (left, right) => Number(left) <= Number(right),
  more: (left, right) => Number(left) > Number(right),
  'at-least': (left, right) => Number(left) >= Number(right),
  prefix: (left, right) => String(left).startsWith(String(right)),
  within: (left, right) => String(left).includes(String(right)),
  member: (left, right) => (left as readonly Json[]).includes(right),
};

it('the table names every operator and every pair of types, once', () => {
  assert.deepEqual(Object.keys(table.operators).sort(), [...operators].sort());
  assert.deepEqual(table.columns, types);
  assert.deepEqual(Object.keys(table.samples), types);
  for (const [operator, rows] of Object.entries(table.operators)) {
    assert.deepEqual(Object.keys(rows), types, operator);
    for (const [left, cells] of Object.entries(rows)) {
      assert.equal(cells.length, types.length, `${operator} ${left}`);
      for (const cell of cells) assert.ok(Object.hasOwn(meanings, cell), `${operator} ${left}: ${cell}`);
    }
  }
});

for (const [operator, rows] of Object.entries(table.operators)) {
  it(`\`${operator}\` gives what the table says`, () => {
    for (const [left, cells] of Object.entries(rows))
      for (const [index, cell] of cells.entries())
        holds(operator as Operator, [left, types[index] ?? ''], cell);
  });
}

function holds(operator: Operator, [left, right]: readonly [string, string], cell: string): void {
  for (const [i, a] of (table.samples[left] ?? []).entries())
    for (const [j, b] of (table.samples[right] ?? []).entries()) {
      const wanted = meanings[cell]?.(a, b, left === right && i === j);
      const found = compare(
        left === 'missing' ? undefined : a,
        operator,
        right === 'missing' ? undefined : b,
      );
      const verdict = wanted === 'error' ? 'error' : wanted === true ? 'pass' : 'fail';
      assert.equal(
        found.verdict,
        verdict,
        `${JSON.stringify(a)} ${operator} ${JSON.stringify(b)} (${left}, ${right})`,
      );
      if (verdict === 'error')
        assert.ok(found.reason.includes(operator) && found.reason.includes('take'), found.reason);
    }
}
