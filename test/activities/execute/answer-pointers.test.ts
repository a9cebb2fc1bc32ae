// What a record says of an answer is short, however many places it names and however long the names of the answer are.
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { dataOfAnswer } from '../../../src/activities/execute/attempt-facts.js';
import { parseExactly } from '../../../src/executors/answer/exact-json.js';
import { root } from '../../../src/executors/answer/places.js';
import { makeMask } from '../../../src/executors/masking/mask.js';

const now = (): Promise<void> => Promise.resolve();
const secret = 'S3CR3T-planted-tgt-value-0001';
const none = { status: 'succeeded', output: null, response: null, evidence: [] } as const;

describe('the places that a record names', () => {
  const long = 'n'.repeat(400_000);

  test('below a long name are counted, and take no room: masked ones', async () => {
    const value = { [long]: Array.from({ length: 15_000 }, () => secret) };
    const { at } = await makeMask([secret]).json(value, now);
    assert.deepEqual(dataOfAnswer({ ...none, masked: at }), { masked: [], maskedCount: 15_000 });
  });

  test('below a long name are counted, and take no room: numbers that no double holds', () => {
    const read = parseExactly(`{"${long}":[${Array(9_000).fill('12345678901234567890').join(',')}]}`);
    assert.ok(read.status === 'parsed');
    assert.deepEqual(dataOfAnswer({ ...none, exact: read.exact }), { exact: [], exactCount: 9_000 });
  });

  test('are the first of them, as far as there is room', () => {
    const list = { within: root, step: 'list' };
    const masked = Array.from({ length: 300 }, (_, step) => ({ within: list, step }));
    const exact = [{ within: root, step: 'a' }];
    const data = dataOfAnswer({ ...none, masked, exact, maskedResponse: [root] });
    assert.deepEqual(data, {
      ...{ exact: ['/a'], masked: masked.slice(0, 200).map((_, at) => `/list/${at}`), maskedCount: 300 },
      maskedResponse: [''],
    });
  });

  test('are the message of a failed call where that was masked, and none where it was not', () => {
    const failed = { status: 'failed', errorClass: 'permanent', message: 'no' } as const;
    assert.deepEqual(dataOfAnswer({ ...failed, isMasked: true }), { masked: ['/message'] });
    assert.deepEqual(dataOfAnswer(failed), {});
  });
});
