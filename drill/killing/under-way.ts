import { mostCallsOfOne } from '../../src/activities/execute/call-slots.js';
import { verifyChain } from '../../src/audit/index.js';
import type { Pool } from '../../src/db/index.js';
import { until } from '../../testing/until.js';
import type { Stack } from '../../testing/servers/stack.js';
import { decideOn, insist, isTaken, park, type Parked, type People, type Reply } from '../caller.js';
import type { Target } from '../target.js';

// What is under way in the run itself when its worker dies or stands still: a cancel, a deadline, and many messages.

/** The report of one scenario; the drill is to show that there are no faults. */
export interface UnderWay {
  readonly name: string;
  readonly runs: number;
  readonly faults: readonly string[];
}

export interface DrillContext {
  readonly stack: Stack;
  readonly pool: Pool;
  readonly people: People;
  readonly target: Target;
}

const limitMs = 120_000;

export async function runUnderWayScenarios(context: DrillContext, runs: number): Promise<UnderWay[]> {
  // One agent asks for all of them, and a worker has at most `mostCallsOfOne` calls of one principal under way.
  const heldAtOnce = Math.min(runs, mostCallsOfOne);
  return [
    {
      name: 'cancel under way, then kill -9 of the worker',
      runs: heldAtOnce,
      faults: await cancelThenKill(context, heldAtOnce),
    },
    {
      name: 'deadline under way, then kill -9 of the worker',
      runs,
      faults: await deadlineThenKill(context, runs),
    },
    {
      name: '30 messages under way, the worker stopped and continued',
      ...{ runs: 1, faults: await stopAndContinue(context) },
    },
  ];
}

const parkAll = ({ people }: DrillContext, flow: string, runs: number): Promise<Parked[]> =>
  Promise.all(Array.from({ length: runs }, () => park(people.agent, flow, 'pay')));

/** The effect has reached its target and has no answer yet when the run is cancelled and its worker dies. */
async function cancelThenKill(context: DrillContext, runs: number): Promise<string[]> {
  const { stack, people, target } = context;
  const parked = await parkAll(context, 'one', runs);
  const held = parked.map(({ run }) => target.hold(run));
  const approved = await Promise.all(parked.map((run) => approve(context, run)));
  await Promise.all(held.map(({ arrived }) => arrived));
  const cancelled = parked.map(({ run }) =>
    insist(() => people.operator.post(`/v1/runs/${run}/cancel`, { reason: 'the drill' }, `${run}-cancel`)),
  );
  await Promise.all(parked.map(({ run }) => waitUntilCancelling(stack, run)));
  await stack.worker.kill('SIGKILL');
  for (const { release } of held) release();
  await stack.worker.restart();
  const told = [...approved, ...(await Promise.all(cancelled)).map(({ reply }) => reply)];
  const ended = await Promise.all(parked.map(({ run }) => waitForEnd(context, run, ['cancelled'])));
  return [
    ...told.filter(isNotTaken).map(describe),
    ...ended.flat(),
    ...parked.flatMap((run) => effectsOf(context, run, 1)),
  ];
}

/** Waits until Temporal is asked to stop trying the effect. From then on the kernel hears of the worker's death as a time-out. */
async function waitUntilCancelling(stack: Stack, run: string): Promise<void> {
  await until(
    `the cancel of ${run}`,
    async () => {
      const { body } = await stack.fetchAs('auditor', 'GET', `/v1/runs/${run}/history`);
      return JSON.stringify(body).includes('ACTIVITY_TASK_CANCEL_REQUESTED') ? true : null;
    },
    limitMs,
  );
}

/** The worker dies just before the deadline of the gate, and is up again after it. */
async function deadlineThenKill(context: DrillContext, runs: number): Promise<string[]> {
  const parked = await parkAll(context, 'one_brief', runs);
  const due = Math.min(...parked.map(({ expiresAt }) => expiresAt));
  await until(
    'the gates to be nearly over',
    () => Promise.resolve(Date.now() > due - 50 ? true : null),
    limitMs,
  );
  await context.stack.worker.kill('SIGKILL');
  await context.stack.worker.restart();
  const ended = await Promise.all(
    parked.map(({ approval }) =>
      readApprovalStatus(context.pool, approval).then((status) =>
        status === 'expired' ? [] : [`${approval} is ${status ?? 'open'}, not expired`],
      ),
    ),
  );
  const chains = await Promise.all(parked.map(({ run }) => findChainFaults(context.pool, run)));
  return [...ended.flat(), ...chains.flat(), ...parked.flatMap((run) => effectsOf(context, run, 0))];
}

const messages = 30;

/** One run gets thirty messages while its worker is stopped: each is answered, and the run goes on. */
async function stopAndContinue(context: DrillContext): Promise<string[]> {
  const { stack, people, pool } = context;
  const parked = await park(people.agent, 'one', 'pay');
  process.kill(stack.worker.pid, 'SIGSTOP');
  const path = `/v1/runs/${parked.run}/transitions/pay`;
  const asked = Array.from({ length: messages }, (_, n) => {
    const body = { arguments: { vendor: 'ACME', amount: 70_000 + n } };
    return people.agent.post(path, body, `${parked.run}-${n}`);
  });
  try {
    await until(
      'all of them to be stored',
      async () => ((await countMessages(pool, parked.run, 'true')) > messages ? true : null),
      limitMs,
    );
  } finally {
    process.kill(stack.worker.pid, 'SIGCONT');
  }
  const told = await Promise.all(asked);
  await until(
    'all of them to be answered',
    async () => ((await countMessages(pool, parked.run, 'answer is null')) === 0 ? true : null),
    limitMs,
  );
  const approved = await approve(context, parked);
  const replay = await stack.fetchAs('auditor', 'POST', `/v1/runs/${parked.run}/replay`);
  return [
    ...[...told, approved].filter(isNotTaken).map(describe),
    ...(await waitForEnd(context, parked.run, ['completed'])),
    ...(replay.status === 200 && replay.body.ok === true ? [] : [`replay: ${JSON.stringify(replay.body)}`]),
    ...effectsOf(context, parked, 1),
  ];
}

async function approve({ people }: DrillContext, parked: Parked): Promise<Reply> {
  const key = `${parked.approval}-approve`;
  const { reply } = await insist(() => decideOn(people.controllers[0], parked, 'approve', key));
  return reply;
}

const isNotTaken = (reply: Reply): boolean => !isTaken(reply);
const describe = (reply: Reply): string => `told ${JSON.stringify(reply)}`;

async function countMessages(pool: Pool, run: string, which: 'true' | 'answer is null'): Promise<number> {
  const { rows } = await pool.query<{ count: number }>(
    `select count(*)::int as count from message where run = $1 and kind <> 'start' and ${which}`,
    [run],
  );
  return rows[0]?.count ?? 0;
}

async function readApprovalStatus(pool: Pool, approval: string): Promise<string | null> {
  return until(
    `${approval} to be settled`,
    async () => {
      const { rows } = await pool.query<{ status: string }>('select status from approval where id = $1', [
        approval,
      ]);
      const status = rows[0]?.status ?? 'gone';
      return status === 'open' ? null : status;
    },
    limitMs,
  ).catch(() => null);
}

async function waitForEnd(
  { pool }: DrillContext,
  run: string,
  statuses: readonly string[],
): Promise<string[]> {
  const status = await until(
    `${run} to end`,
    async () => {
      const { rows } = await pool.query<{ status: string }>('select status from run where id = $1', [run]);
      const found = rows[0]?.status ?? 'gone';
      return ['running', 'waiting'].includes(found) ? null : found;
    },
    limitMs,
  ).catch(() => 'running');
  const wrong = statuses.includes(status) ? [] : [`${run} is ${status}, not ${statuses.join(' or ')}`];
  return [...wrong, ...(await findChainFaults(pool, run))];
}

async function findChainFaults(pool: Pool, run: string): Promise<string[]> {
  const chain = await verifyChain(pool, run);
  return chain.ok ? [] : [`the chain of ${run}: ${chain.problem ?? 'does not verify'}`];
}

function effectsOf({ target }: DrillContext, { run }: Parked, wanted: number): string[] {
  const count = target.effects().filter((effect) => effect.run === run).length;
  return count === wanted ? [] : [`${run} has ${count} effects, not ${wanted}`];
}
