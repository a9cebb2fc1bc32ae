import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { nearest } from '../../src/policy/text/problems.js';

describe('the name that is proposed for a misspelt name', () => {
  const tiers = ['read_only', 'reversible', 'irreversible'];
  it('is the stricter of two tiers that are as near', () => {
    for (const names of [tiers, [...tiers].reverse()]) {
      assert.equal(nearest('ireversible', names), 'irreversible');
      assert.equal(nearest('rreversible', names), 'irreversible');
    }
  });
  it('is the nearest, and of equally near names the first', () => {
    assert.equal(nearest('reversibel', tiers), 'reversible');
    assert.equal(nearest('readonly', tiers), 'read_only');
    assert.equal(nearest('cat', ['bat', 'hat']), 'bat');
    assert.equal(nearest('something', tiers), undefined);
  });
});
