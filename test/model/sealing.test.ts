import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { describe, it } from 'node:test';
import { seal, unseal } from '../../src/model/sealing.js';

// What the service keeps encrypted opens under its own key, at its own place, as it was, and not otherwise.

const key = randomBytes(32);

describe('sealed bytes', () => {
  it('open as what they were, also if that is nothing', () => {
    for (const text of ['', 'a', 'ü'.repeat(70_000)])
      assert.equal(unseal(key, seal(key, text, 'row 1'), 'row 1').toString('utf8'), text);
  });

  it('are never the same twice', () => {
    assert.notDeepEqual(seal(key, 'a'), seal(key, 'a'));
  });

  it('do not open under another key, or at another place', () => {
    const sealed = seal(key, 'a', 'row 1');
    assert.throws(() => unseal(randomBytes(32), sealed, 'row 1'));
    assert.throws(() => unseal(key, sealed, 'row 2'));
    assert.throws(() => unseal(key, sealed));
  });

  it('do not open if a bit of them was changed, or if they were cut', () => {
    const sealed = seal(key, 'a', 'row 1');
    for (let i = 0; i < sealed.length; i += 1) {
      const changed = Buffer.from(sealed);
      changed[i] = (changed[i] ?? 0) ^ 1;
      assert.throws(() => unseal(key, changed, 'row 1'), `byte ${i}`);
      assert.throws(() => unseal(key, sealed.subarray(0, i), 'row 1'), `${i} bytes`);
    }
  });
});
