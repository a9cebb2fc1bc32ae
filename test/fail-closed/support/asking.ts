import assert from 'node:assert/strict';
import type { Answer, Harness } from '../../api/harness.js';
import { codes } from '../../api/harness.js';

// Requests that are refused, with the record of it.

export interface Asking {
  /** How many records of the type there are. */
  count(type: string): Promise<number>;
  runs(): Promise<number>;
  /** Demands the status and code, one new record of the type, and that nothing was started. */
  refuses(asked: () => Promise<Answer>, expected: readonly [number, string], record: string): Promise<Answer>;
  makeKey(fields: object): Promise<{ readonly key: string; readonly keyId: string }>;
  started(): Promise<string>;
  parked(): Promise<{ readonly run: string; readonly approval: string; readonly digest: string }>;
}

export function makeAsking(harness: () => Harness): Asking {
  const number = async (sql: string, values: readonly unknown[] = []): Promise<number> => {
    const { rows } = await harness().database.asSuperuser(sql, values);
    return Number((rows[0] as { count: string }).count);
  };
  const count = (type: string): Promise<number> =>
    number('select count(*) from audit_record where type = $1', [type]);
  const runs = (): Promise<number> => number('select count(*) from run');
  const started = async (): Promise<string> => {
    const { status, body, text } = await harness().ask('agent', 'POST', '/v1/flows/pay/runs', {});
    assert.equal(status, 201, text);
    return (body as { run: { id: string } }).run.id;
  };
  return {
    count,
    runs,
    started,
    refuses: async (asked, expected, record) => {
      const before = [await count(record), await count('api.called'), await runs()];
      const answer = await asked();
      assert.deepEqual(codes(answer), [...expected], answer.text);
      const [records = 0, calls = 0, startedRuns] = before;
      assert.deepEqual(
        [await count(record), await count('api.called'), await runs()],
        [records + 1, calls + 1, startedRuns],
        `one \`${record}\` more, one \`api.called\` more, no run more`,
      );
      return answer;
    },
    makeKey: async (fields) => {
      const made = await harness().ask('admin', 'POST', '/v1/keys', { kind: 'agent', ...fields });
      assert.equal(made.status, 201, made.text);
      return made.body as { key: string; keyId: string };
    },
    parked: async () => {
      const run = await started();
      const path = `/v1/runs/${run}/transitions/bank.pay`;
      const { status, body, text } = await harness().ask('agent', 'POST', path, {
        arguments: { amount: 500 },
      });
      assert.equal(status, 202, text);
      const { id, digest } = (body as { result: { approval: { id: string; digest: string } } }).result
        .approval;
      return { run, approval: id, digest };
    },
  };
}
