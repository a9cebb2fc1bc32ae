import assert from 'node:assert/strict';
import { it } from 'node:test';
import { groupDigits } from '../../src/engine/gates/shown.js';

it('a number is shown as people write it: thousands apart, years and exponents as they are', () => {
  const shown: readonly (readonly [number, string])[] = [
    [60_000, '60,000'],
    [-1_234_567, '-1,234,567'],
    [12_345.678_9, '12,345.6789'],
    [1e20, '100,000,000,000,000,000,000'],
    ...([2026, -999, 0, 0.5, 1234.56789, 1e21, 1.5e300, 1e-7] as const).map(
      (number) => [number, String(number)] as const,
    ),
  ];
  for (const [value, text] of shown) assert.equal(groupDigits(value), text);
});
