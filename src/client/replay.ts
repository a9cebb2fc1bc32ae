import { digestsOfMessages } from '../store/messages.js';
import { getStepResults } from '../store/runs.js';
import type { JsonObject } from '../model/json.js';
import { isObject } from '../model/json.js';
import { canonical } from '../model/canonical.js';
import { refusedMessages, verifyChain } from '../audit/index.js';
import { readBell } from '../workflows/bell.js';
import { payloadConverter, undecodable } from '../workflows/payload-converter.js';
import type { ClientDeps } from './deps.js';
import { rawHistory } from './history.js';
import { historyToJSON, type History } from '@temporalio/common/lib/proto-utils.js';
import { replayKernel } from './replay-kernel.js';

export interface ReplayReport {
  readonly ok: boolean;
  readonly checks: readonly { readonly name: string; readonly ok: boolean; readonly detail: string }[];
}

/**
 * Replays a run's history against this build's kernel, then compares what stock replay does not look
 * at (docs/spec/temporal.md, trap 4): every recorded answer of policy checks and executors with the store's own,
 * and the run's chain, link by link. `busy`: as many replays wait as this process takes.
 */
export async function replayRun(deps: ClientDeps, run: string): Promise<ReplayReport | 'busy'> {
  const history = await rawHistory(deps, run);
  if (history === null)
    return report([{ name: 'history', ok: false, detail: 'Temporal has no history of this run' }]);
  const kernel = await checkKernel(deps, run, history);
  if (kernel === null) return 'busy';
  return report([
    kernel,
    await compareSteps(deps, run, history),
    await compareMessages(deps, run, history),
    await checkChain(deps, run),
  ]);
}

function report(checks: ReplayReport['checks']): ReplayReport {
  return { ok: checks.every((one) => one.ok), checks };
}

type Check = ReplayReport['checks'][number];

async function checkKernel(deps: ClientDeps, run: string, history: History): Promise<Check | null> {
  const asked = { bundle: deps.workflowBundle, run, history: JSON.parse(historyToJSON(history)) as unknown };
  const replayed = await replayKernel(asked);
  switch (replayed.status) {
    case 'busy':
      return null;
    case 'differs':
      return bad('kernel', replayed.detail);
    case 'replayed':
      return {
        name: 'kernel',
        ok: true,
        detail: `${history.events?.length ?? 0} events replay on this build`,
      };
  }
}

/** Results as they stand in the history. */
function recordedSteps(history: History): JsonObject[] {
  return valuesIn(history, (event) => [
    ...(event.markerRecordedEventAttributes?.details?.['result']?.payloads ?? []),
    ...(event.activityTaskCompletedEventAttributes?.result?.payloads ?? []),
  ]).filter((value) => value['status'] === 'stepped');
}

type HistoryEvent = NonNullable<History['events']>[number];

function valuesIn(
  history: History,
  payloadsOf: (event: HistoryEvent) => Parameters<typeof payloadConverter.fromPayload>[0][],
): JsonObject[] {
  const found: JsonObject[] = [];
  for (const payload of (history.events ?? []).flatMap(payloadsOf)) {
    const value: unknown = payloadConverter.fromPayload(payload);
    if (value !== undecodable && isObject(value)) found.push(value);
  }
  return found;
}

/** What the kernel went by, against what the store says that each step came to. */
const compared = ['digest', 'head', 'state', 'runStatus', 'version'] as const;

async function compareSteps(deps: ClientDeps, run: string, history: History): Promise<Check> {
  const stored = new Map((await getStepResults(deps.pool, run)).map((row) => [row.rev, row.result]));
  const recorded = recordedSteps(history);
  for (const step of recorded) {
    const rev = Number(step['rev']);
    const own = stored.get(rev);
    if (own === undefined) return bad('steps', `the history has a step ${rev} that the store does not know`);
    const { result } = JSON.parse(own) as { result: JsonObject };
    const differs = compared.find((key) => canonical(result[key] ?? null) !== canonical(step[key] ?? null));
    if (differs !== undefined)
      return bad('steps', `step ${rev}: \`${differs}\` in the history is not what the store recorded`);
  }
  return {
    name: 'steps',
    ok: true,
    detail: `${recorded.length} steps of the history are those of the store`,
  };
}

/** Each bell of the history names a message of the store and its digest, or was refused on record. */
async function compareMessages(deps: ClientDeps, run: string, history: History): Promise<Check> {
  const bells = valuesIn(
    history,
    (event) => event.workflowExecutionSignaledEventAttributes?.input?.payloads ?? [],
  ).flatMap((value) => readBell(value) ?? []);
  const digests = await digestsOfMessages(deps.pool, run);
  const refused = await refusedMessages(deps.pool, run);
  for (const { id, digest } of bells) {
    if (digests.get(id) === digest || refused.has(id)) continue;
    return bad('messages', `the history has a bell for \`${id}\` that the store neither knows nor refused`);
  }
  return {
    name: 'messages',
    ok: true,
    detail: `${bells.length} bells, each of a message of the store or refused`,
  };
}

function bad(name: string, detail: string): Check {
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
