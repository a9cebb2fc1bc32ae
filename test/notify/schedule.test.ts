import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { mostAttempts, nextDelayMs } from '../../src/notify/schedule.js';

const [second, minute, hour] = [1_000, 60_000, 3_600_000];

describe('when a message is tried again', () => {
  it('is as Standard Webhooks suggests: at once, then nine times over three days', () => {
    const waits = [
      ...[5 * second, 5 * minute, 30 * minute, 2 * hour, 5 * hour],
      ...[10 * hour, 14 * hour, 20 * hour, 24 * hour],
    ];
    assert.deepEqual(
      Array.from({ length: mostAttempts }, (_, at) => nextDelayMs(at + 1, 0, 0)),
      [...waits, null],
    );
  });

  it('is spread by chance, and not before what the receiver asks for', () => {
    assert.equal(nextDelayMs(2, 0, 0.5), 330 * second);
    assert.equal(nextDelayMs(1, hour, 0.5), hour);
    assert.equal(nextDelayMs(mostAttempts, hour, 0.5), null);
  });
});
