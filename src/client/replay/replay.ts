import { bellsOfMessages } from '../../store/runs/messages.js';
import { getStepResults } from '../../store/runs/runs.js';
import { closedStatuses, type RunStatus } from '../../engine/state.js';
import { makeTurns } from '../../model/give-way.js';
import type { JsonObject } from '../../model/values/json.js';
import { sameJson } from '../../model/values/canonical.js';
import { refusedMessages, verifyChain } from '../../audit/index.js';
import { fingerprintOf } from '../../auth/index.js';
import type { ClientDeps } from '../deps.js';
import { readHistories, type Histories } from './history.js';
import { readRecorded, type Recorded } from './recorded.js';
import { replayKernel } from './replay-kernel.js';

export interface ReplayReport {
  readonly ok: boolean;
  readonly checks: readonly { readonly name: string; readonly ok: boolean; readonly detail: string }[];
}

/**
 * Replays a run's histories on this build's kernel, and compares what stock replay does not look at (docs/spec/temporal.md,
 * trap 4): the inputs of executions and the lengths of timers with what the kernel asks for; bells, and the recorded answers of
 * policy checks and executors, with the store; and it verifies the run's chain. `busy`: too many replays wait already.
 */
export async function replayRun(deps: ClientDeps, run: string): Promise<ReplayReport | 'busy'> {
  const read = await readHistories(deps, run);
  if (read === null) return makeReport([failCheck('history', 'Temporal has no history of this run')]);
  const kernel = await checkKernel(deps, run, read);
  if (kernel === null) return 'busy';
  const recorded = await readRecorded(read);
  const stored = await readStored(deps, run);
  return makeReport([
    kernel,
    await compareSteps(stored, recorded),
    await compareMessages(deps, run, stored, recorded),
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
      // A history that was not read may be forged.
      return unread === 0
        ? passCheck('kernel', summary)
        : failCheck(
            'kernel',
            `${summary}, and ${unread} older executions are more than is read: look at them in Temporal`,
          );
    }
  }
}

/** What the kernel knows of its run: the fields in which every step of a history must equal the store's step. */
const known = ['digest', 'head', 'state', 'runStatus', 'version', 'wakeAt'] as const;
/** The same, and what the kernel does next. */
const compared = [...known, 'execution', 'cancelling'] as const;

/** A step's result as the store has it. */
interface StoredStep {
  readonly fingerprints: readonly string[];
  readonly result: JsonObject & { readonly runStatus: RunStatus };
}

type Stored = ReadonlyMap<number, StoredStep>;

async function readStored(deps: ClientDeps, run: string): Promise<Stored> {
  const rows = await getStepResults(deps.pool, run);
  const turn = makeTurns();
  const stored = new Map<number, StoredStep>();
  for (const { rev, result } of rows) {
    stored.set(rev, JSON.parse(result) as StoredStep);
    await turn();
  }
  return stored;
}

async function compareSteps(stored: Stored, { steps, carried }: Recorded): Promise<Check> {
  const turn = makeTurns();
  const carriedSteps = carried
    // A history that ended before the first step passed on none.
    .filter(({ rev }) => rev !== 0)
    .map((step) => ({ step: { ...step, runStatus: step['status'] ?? null }, keys: known }));
  for (const { step, keys } of [...steps.map((each) => ({ step: each, keys: compared })), ...carriedSteps]) {
    const problem = findLie(stored, step, keys);
    if (problem !== null) return failCheck('steps', problem);
    await turn();
  }
  const toldRevs = new Set(steps.map((step) => Number(step['rev'])));
  const untold = [...stored.keys()].filter((rev) => !toldRevs.has(rev)).length;
  // For example after a worker died when its step had committed, a workflow was deleted, or an execution is past its retention.
  const alone = untold > 0 ? `; ${untold} more of the store stand in no history that was read` : '';
  return passCheck('steps', `${toldRevs.size} steps of the history are those of the store${alone}`);
}

function findLie(
  stored: Stored,
  step: JsonObject,
  keys: readonly (typeof compared)[number][],
): string | null {
  const rev = Number(step['rev']);
  const own = stored.get(rev)?.result;
  if (own === undefined) return `the history has a step ${rev} that the store does not know`;
  const differs = keys.find((key) => !sameJson(own[key] ?? null, step[key] ?? null));
  if (differs !== undefined)
    return `step ${rev}: \`${differs}\` in the history is not what the store recorded`;
  // To a workflow that was started again, a closed run's last step is repeated with `isForked` set.
  if (step['isForked'] === true && own['isForked'] !== true && !closedStatuses.includes(own.runStatus))
    return `step ${rev}: \`isForked\` in the history is not what the store recorded`;
  return null;
}

/**
 * Checks that each bell of the histories names a message of the store with its digest, or was refused on record; and that each bell
 * that a step was given stands in the history that made the step.
 */
async function compareMessages(
  deps: ClientDeps,
  run: string,
  stored: Stored,
  { bells, taking }: Recorded,
): Promise<Check> {
  const own = await bellsOfMessages(deps.pool, run);
  const digests = new Map(own.map(({ id, digest }) => [id, digest]));
  const refused = await refusedMessages(deps.pool, run);
  for (const { id, digest } of bells) {
    if (digests.get(id) === digest || refused.has(id)) continue;
    return failCheck(
      'messages',
      `the history has a bell for \`${id}\` that the store neither knows nor refused`,
    );
  }
  const rung = new Set(bells.map(({ id }) => id));
  const unrung = new Map<string, string>();
  const turn = makeTurns();
  for (const bell of own.filter(({ id }) => !rung.has(id))) {
    unrung.set(fingerprintOf({ kind: 'message', bell }), bell.id);
    await turn();
  }
  for (const step of taking) {
    const missing = arrivedFor(stored, step).find((fingerprint) => unrung.has(fingerprint));
    if (missing !== undefined)
      return failCheck(
        'messages',
        `step ${String(step['rev'])} was given a bell for \`${unrung.get(missing)}\` that the history does not have`,
      );
  }
  return passCheck('messages', `${bells.length} bells, each of a message of the store or refused`);
}

/** The arrivals that the step was given, as fingerprints; none where it took fewer from this history, because it had run for another before. */
function arrivedFor(stored: Stored, { rev, given, left }: JsonObject): readonly string[] {
  const fingerprints = stored.get(Number(rev))?.fingerprints ?? [];
  const taken = Number(given) - (Array.isArray(left) ? left.length : 0);
  return taken === fingerprints.length ? fingerprints : [];
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
