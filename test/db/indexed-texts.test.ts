import assert from 'node:assert/strict';
import { test } from 'node:test';
import { longestName, longestRoleBytes } from '../../src/model/limits.js';
import { longestPrincipalId } from '../../src/model/principal.js';
import { withDatabase } from '../../testing/servers/database.js';

// An index takes a third of a page and no more: a row that is too long for one of its indexes cannot be written, and its run is
// stuck. So each text that stands in an index has a longest form, which its door asks for.

/** Of an entry, in bytes, and what each text and the entry itself take besides. */
const mostEntry = 2_700;
const overhead = 8;
/** UTF-8 has at most three bytes for a UTF-16 unit. */
const utf8 = 3;

/** Ids, digests and words that are the service's own. */
const own = 200;
const name = longestName * utf8;
const principal = longestPrincipalId * utf8;

/** By column, or by table and column where a column of that name holds something else. */
const longest: Readonly<Record<string, number>> = {
  ...Object.fromEntries(
    'id run approval action chain key_id hash basis status type verdict method process about cause event_key'
      .split(' ')
      .map((column) => [column, own]),
  ),
  ...Object.fromEntries(
    'principal delegate delegated_by by_id actor started_by'.split(' ').map((column) => [column, principal]),
  ),
  'principal.id': principal,
  // Labels of flows and names of files have 128 characters; an inbox that is saved has these.
  ...Object.fromEntries(
    'name flow environment namespace state channel'.split(' ').map((column) => [column, name]),
  ),
  // Of a flow that was published when a name had no longest; an entry holds one of them, and just so much (`migrate.test.ts`).
  roles: longestRoleBytes - 2 * overhead,
  // An address of e-mail.
  recipient: 320 * utf8,
  idempotency_key: 255 * utf8,
  // What a request called: longer ones stand there as digests. A header's value is ASCII.
  path: 1_000,
  key: 255,
};

test('every row fits into its indexes, however long the texts are that callers and authors choose', () =>
  withDatabase(async ({ asSuperuser }) => {
    const { rows } = await asSuperuser(
      `select i.relname as index, array_agg(c.relname || '.' || a.attname order by a.attnum)::text[] as columns
         from pg_index x join pg_class i on i.oid = x.indexrelid join pg_am am on am.oid = i.relam
         join pg_class c on c.oid = x.indrelid
         join pg_attribute a on a.attrelid = c.oid and a.attnum = any (x.indkey::int2[])
                            and a.atttypid in ('text'::regtype, 'text[]'::regtype)
        where c.relnamespace = 'public'::regnamespace and am.amname in ('btree', 'gin')
        group by 1 order by 1`,
    );
    assert.ok(rows.length > 50, `${rows.length} indexes`);
    for (const { index, columns } of rows as { index: string; columns: string[] }[]) {
      const bytes = columns.map((column) => {
        const most = longest[column] ?? longest[column.split('.')[1] ?? ''];
        assert.ok(most !== undefined, `\`${index}\` holds \`${column}\`: say here how long that can be`);
        return most + overhead;
      });
      const whole = bytes.reduce((sum, size) => sum + size, overhead);
      assert.ok(whole <= mostEntry, `\`${index}\` (${columns.join(', ')}): ${whole} bytes`);
    }
  }));
