import assert from 'node:assert/strict';
import { test } from 'node:test';
import { measureHistory } from '../../src/workflows/history.js';

const lengths = [
  [1, false, 'short'],
  [249, false, 'short'],
  [250, false, 'long'],
  [4_096, true, 'long'],
  // The server's own suggestion counts whatever the number.
  [12, true, 'long'],
  [39_999, true, 'long'],
  [40_000, true, 'full'],
  [40_000, false, 'full'],
] as const;

test('another history follows from 250 events on, or where the server suggests it, and at once from 40,000 on', () => {
  for (const [events, isSuggested, expected] of lengths)
    assert.equal(measureHistory(events, isSuggested), expected, `${events} events`);
});
