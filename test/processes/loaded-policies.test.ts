import assert from 'node:assert/strict';
import { test } from 'node:test';
import { linesOfLoaded } from '../../src/processes/settings/loaded-policies.js';
import type { Finding } from '../../src/policy/index.js';

const none = { removed: [], withdrawn: [], warnings: [] };
const at = { path: '', line: 1, column: 1, message: '' };

test('a start says how many warnings its policies have of each code, with the command that shows them', () => {
  const warnings: Finding[] = [
    { ...at, code: 'UNKNOWN_ROLE' },
    { ...at, code: 'NO_OWNER' },
    { ...at, code: 'UNKNOWN_ROLE' },
    { ...at, code: 'TIER_MISSING', acknowledged: 'a demonstration' },
  ];
  assert.deepEqual(linesOfLoaded({ ...none, warnings }, '/srv/policies'), [
    'the policies have warnings (2 UNKNOWN_ROLE, 1 NO_OWNER): `npx countersign check /srv/policies` shows them',
  ]);
});

test('a start says nothing of policies whose warnings are acknowledged', () => {
  const warnings: Finding[] = [{ ...at, code: 'TIER_MISSING', acknowledged: 'a demonstration' }];
  assert.deepEqual(linesOfLoaded({ ...none, warnings }, '/srv/policies'), []);
});
