import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { parseJwtIssuers } from '../../src/auth/index.js';

const page = readFileSync(join(import.meta.dirname, '../../docs/operating.md'), 'utf8');

test('docs/operating.md has an example of issuers that is taken, and explains each of its settings', () => {
  const written = /```json issuers\n(.*?)```/s.exec(page)?.[1] ?? '';
  const [issuer] = parseJwtIssuers(JSON.parse(written));
  assert.ok(issuer !== undefined);
  assert.equal(issuer.subjectClaim, 'preferred_username');
  const [, explained = ''] = /## Whose tokens are taken\n(.*?)\n## /s.exec(page) ?? [];
  for (const setting of [...Object.keys(issuer), 'kind', 'permissionsClaim', 'actors'])
    assert.match(explained, new RegExp(`^\\| [^|]*\`${setting}\`[^|]*\\|`, 'm'), setting);
});
