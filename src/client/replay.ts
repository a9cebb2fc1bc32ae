import { digestsOfMessages } from '../store/messages.js';
import { getStepResults } from '../store/runs.js';
import { makeTurns } from '../model/give-way.js';
import type { JsonObject } from '../model/json.js';
import { isObject } from '../model/json.js';
import { canonical } from '../model/canonical.js';
import { refusedMessages, verifyChain } from '../audit/index.js';
import { readBell } from '../workflows/bell.js';
import { payloadConverter, undecodable } from '../workflows/payload-converter.js';
import type { ClientDeps } from './deps.js';
import { readHistories, type Histories, type RunHistory } from './history.js';
import { replayKernel } from './replay-kernel.js';

export interface ReplayReport {
  readonly ok: boolean;
  readonly checks: readonly { readonly name: string; readonly ok: boolean; readonly detail: string }[];
}

/**
 * Replays a run's histories against this build's kernel, then compares what stock replay does not look
 * at (docs/spec/temporal.md, trap 4): every recorded answer of policy checks and executors with the store's own,
 * and the run's chain, link by link. `busy`: as many replays wait as this process takes.
 */
export async function replayRun(deps: ClientDeps, run: string): Promise<ReplayReport | 'busy'> {
  const read = await readHistories(deps, run);
  if (read === null) return makeReport([failCheck('history', 'Temporal has no history of this run')]);
  const kernel = await checkKernel(deps, run, read);
  if (kernel === null) return 'busy';
  return makeReport([
    kernel,
    await compareSteps(deps, run, read),
    await compareMessages(deps, run, read),
    await checkChain(deps, run),
  ]);
}

function makeReport(checks: ReplayReport['checks']): ReplayReport {
  return { ok: checks.every((check) => check.ok), checks };
}

type Check = ReplayReport['checks'][number];

async function checkKernel(
  deps: ClientDeps,
  run: string,
  { histories, unread }: Histories,
): Promise<Check | null> {
  const { workflowBundle: bundle } = deps;
  const replayed = await replayKernel({ bundle, run, histories: histories.map(({ events }) => events) });
  switch (replayed.status) {
    case 'busy':
      return null;
    case 'differs': {
      const differing = histories[replayed.index];
      const which = histories.length > 1 && differing ? `execution ${differing.execution}: ` : '';
      return failCheck('kernel', `${which}${replayed.detail}`);
    }
    case 'replayed': {
      const events = histories.reduce((total, { history }) => total + (history.events?.length ?? 0), 0);
      const several = histories.length > 1 ? ` of ${histories.length} executions` : '';
      const summary = `${events} events${several} replay on this build`;
      // What was not read may be what was forged.
      return unread === 0
        ? passCheck('kernel', summary)
        : failCheck(
            'kernel',
            `${summary}, and ${unread} older executions are more than is read: look at them in Temporal`,
          );
    }
  }
}

/** Results as they stand in the histories. */
async function readRecordedSteps(read: Histories): Promise<JsonObject[]> {
  const values = await readPayloads(read, (event) => [
    ...(event.markerRecordedEventAttributes?.details?.['result']?.payloads ?? []),
    ...(event.activityTaskCompletedEventAttributes?.result?.payloads ?? []),
  ]);
  return values.filter((value) => value['status'] === 'stepped');
}

type HistoryEvent = NonNullable<RunHistory['history']['events']>[number];

async function readPayloads(
  { histories }: Histories,
  payloadsOf: (event: HistoryEvent) => Parameters<typeof payloadConverter.fromPayload>[0][],
): Promise<JsonObject[]> {
  const found: JsonObject[] = [];
  const turn = makeTurns();
  const events = histories.flatMap(({ history }) => history.events ?? []);
  for (const payload of events.flatMap(payloadsOf)) {
    const value: unknown = payloadConverter.fromPayload(payload);
    if (value !== undecodable && isObject(value)) found.push(value);
    await turn();
  }
  return found;
}

/** What the kernel went by, against what the store says that each step came to. */
const compared = ['digest', 'head', 'state', 'runStatus', 'version'] as const;

async function compareSteps(deps: ClientDeps, run: string, read: Histories): Promise<Check> {
  const stored = new Map((await getStepResults(deps.pool, run)).map((row) => [row.rev, row.result]));
  const recorded = await readRecordedSteps(read);
  const turn = makeTurns();
  for (const step of recorded) {
    const rev = Number(step['rev']);
    const own = stored.get(rev);
    if (own === undefined)
      return failCheck('steps', `the history has a step ${rev} that the store does not know`);
    const { result } = JSON.parse(own) as { result: JsonObject };
    const differs = compared.find((key) => canonical(result[key] ?? null) !== canonical(step[key] ?? null));
    if (differs !== undefined)
      return failCheck('steps', `step ${rev}: \`${differs}\` in the history is not what the store recorded`);
    await turn();
  }
  const toldRevs = new Set(recorded.map((step) => Number(step['rev'])));
  const untold = [...stored.keys()].filter((rev) => !toldRevs.has(rev)).length;
  // A worker that died after its step had committed, a workflow that was deleted, an execution past its retention.
  const alone = untold > 0 ? `; ${untold} more of the store stand in no history that was read` : '';
  return passCheck('steps', `${toldRevs.size} steps of the history are those of the store${alone}`);
}

/** Each bell of the history names a message of the store and its digest, or was refused on record. */
async function compareMessages(deps: ClientDeps, run: string, read: Histories): Promise<Check> {
  const values = await readPayloads(
    read,
    (event) => event.workflowExecutionSignaledEventAttributes?.input?.payloads ?? [],
  );
  const bells = values.flatMap((value) => readBell(value) ?? []);
  const digests = await digestsOfMessages(deps.pool, run);
  const refused = await refusedMessages(deps.pool, run);
  for (const { id, digest } of bells) {
    if (digests.get(id) === digest || refused.has(id)) continue;
    return failCheck(
      'messages',
      `the history has a bell for \`${id}\` that the store neither knows nor refused`,
    );
  }
  return passCheck('messages', `${bells.length} bells, each of a message of the store or refused`);
}

function passCheck(name: string, detail: string): Check {
  return { name, ok: true, detail };
}

function failCheck(name: string, detail: string): Check {
  return { name, ok: false, detail };
}

async function checkChain(deps: ClientDeps, run: string): Promise<Check> {
  const verified = await verifyChain(deps.pool, run);
  return {
    name: 'chain',
    ok: verified.ok,
    detail: verified.problem ?? `${verified.records} records, every link`,
  };
}
