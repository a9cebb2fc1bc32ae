import type { Queryable } from '../../db/index.js';

/** Longer than a signature is valid, which is from five minutes before its time to five minutes after. */
const keptMinutes = 15;

/** True for the first request with this signature, false for its repetitions. */
export async function takeSlackRequest(q: Queryable, mac: Buffer): Promise<boolean> {
  await q.query(`delete from slack_request where seen_at < now() - make_interval(mins => ${keptMinutes})`);
  const { rowCount } = await q.query(
    'insert into slack_request (mac) values ($1) on conflict (mac) do nothing',
    [mac],
  );
  return rowCount === 1;
}
