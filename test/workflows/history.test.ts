import assert from 'node:assert/strict';
import { test } from 'node:test';
import { measureHistory } from '../../src/workflows/history.js';

const lengths = [
  [1, false, 3, 'short'],
  [249, false, 3, 'short'],
  [250, false, 3, 'long'],
  [4_096, true, 3, 'long'],
  // The server's own suggestion counts whatever the number.
  [12, true, 3, 'long'],
  [40_000, true, 3, 'long'],
  [40_001, false, 3, 'full'],
  // What an older kernel has recorded replays as it went.
  [4_095, false, 2, 'short'],
  [12, true, 2, 'long'],
  [40_001, true, 2, 'full'],
] as const;

test('another history follows from 250 events on, or where the server suggests it, and at once after 40,000', () => {
  for (const [events, isSuggested, kernel, expected] of lengths)
    assert.equal(
      measureHistory(events, isSuggested, kernel),
      expected,
      `${events} events of kernel ${kernel}`,
    );
});
