import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { linesOfGates } from '../../src/policy/index.js';
import { makeExplain } from '../../src/service/approvals/body/because.js';
import type { Reader } from '../../src/service/runs/document.js';
import type { ApprovalRow } from '../../src/store/approvals/approvals.js';

/** Each version has `gates` rules; the first stands in the line of the version's number. */
function readerOf(gates: number): Reader {
  const source = (version: number): string =>
    `${'\n'.repeat(version)}gates:\n${'  - on: amount > 1\n'.repeat(gates)}`;
  const query = (
    _sql: string,
    [names, versions]: readonly [readonly string[], readonly number[]],
  ): object => ({
    rows: versions.map((version, index) => ({ name: names[index], version, source: source(version) })),
  });
  return { deps: { pool: { query } as unknown as Reader['deps']['pool'] }, principal: null };
}

/** An approval that the gates of these numbers ask for, and a rule that stands in no source. */
function approvalOf(flowVersion: number, gates: readonly number[]): ApprovalRow {
  const elsewhere = { source: 'floor', rule: 'always', reason: null, path: null };
  const asked = gates.map((n) => ({ source: 'flow', rule: `gate ${n}`, reason: null, path: ['gates', n] }));
  return { flow: 'pay', doc: { flowVersion, asked: [elsewhere, ...asked] } } as unknown as ApprovalRow;
}

describe('the lines of rules that approvals are asked for by', () => {
  it('are looked for in each text once, however many of its rules ask and in whatever sets', async () => {
    const sets = [[0], [1, 0], [2], [0, 2, 1], ...Array.from({ length: 196 }, (_, n) => [n + 3])];
    const rows = [1, 2].flatMap((version) => sets.map((gates) => approvalOf(version, gates)));
    const looked: number[] = [];
    const explain = await makeExplain(readerOf(200), rows, (text, paths) => {
      looked.push(paths.length);
      return linesOfGates(text, paths);
    });
    assert.deepEqual(looked, [199, 199]);
    for (const version of [1, 2])
      for (const gates of sets)
        assert.deepEqual(
          explain(approvalOf(version, gates)).map(({ rule, line }) => [rule, line]),
          [['always', null], ...gates.map((n) => [`gate ${n}`, version + 2 + n])],
        );
  });
});
