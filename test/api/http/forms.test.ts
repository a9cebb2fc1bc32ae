import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { z } from 'zod';
import { validateBody, validateQuery } from '../../../src/api/contract/validate.js';
import * as api from '../../../src/model/contract/api.js';

// A value that is not in the form of the contract is refused with the form and an example.

const time = /must be a time with its zone, as `2026-12-30T18:00:00Z`/;
const absence = { from: '2026-12-30', until: '2026-12-31T00:00:00Z', delegate: 'bob' };

const bodies: readonly (readonly [z.ZodType, object, RegExp])[] = [
  [api.claimBody, { for: '99h' }, /`\/for` must be a duration as `30s`, `15m` or `2h`, 1 second to 8 hours/],
  [api.claimBody, { for: 'long' }, /must be a duration as `30s`/],
  [
    api.retireBody,
    { window: '9999h' },
    /`\/window` must be a duration as `0s`, `15m` or `2h`, 24 hours at most/,
  ],
  [api.absenceBody, absence, time],
  [api.absenceBody, { ...absence, from: undefined }, /`\/from` is required/],
];
const queries: readonly (readonly [z.ZodType, string, RegExp])[] = [
  [api.approvalsQuery, 'expiringBefore=2026-12-30', time],
  [api.approvalsQuery, 'expiringBefore=2026-12-30T18:00:00+01:00', /`\+` is `%2B` in an address/],
  [api.approvalsQuery, 'limit=501', /`\/query\/limit` must be a whole number, 1 to 500/],
  [api.waitQuery, 'wait=31', /`\/query\/wait` must be seconds, 0 to 30/],
  [api.longPollQuery, 'wait=26s', /`\/query\/wait` must be seconds, 0 to 25/],
];

describe('a value in another form', () => {
  for (const [schema, body, said] of bodies)
    it(`is told which, in a body: ${JSON.stringify(body)}`, () => {
      const read = validateBody(schema, body);
      assert.match('detail' in read ? String(read.detail) : 'valid', said);
    });
  for (const [schema, query, said] of queries)
    it(`is told which, in a query: ${query}`, () => {
      const read = validateQuery(schema, new URLSearchParams(query));
      assert.match('detail' in read ? String(read.detail) : 'valid', said);
    });
});
