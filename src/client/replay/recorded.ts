import { makeTurns } from '../../model/give-way.js';
import { isObject, type JsonObject } from '../../model/values/json.js';
import type { Bell } from '../../model/message.js';
import { readBell, readSignal } from '../../workflows/bell.js';
import { payloadConverter } from '../../workflows/payload-converter.js';
import type { Histories, RunHistory } from './history.js';

/** What the kernel went by, as a run's histories have it. */
export interface Recorded {
  /** Results of policy checks and of executions. */
  readonly steps: readonly JsonObject[];
  /** Those policy checks that were a new step and not a repetition of the last result: they may have taken arrivals. */
  readonly taking: readonly JsonObject[];
  /** The state of the run that each history has passed on to the next. */
  readonly carried: readonly JsonObject[];
  readonly bells: readonly Bell[];
}

interface Collected extends Recorded {
  readonly steps: JsonObject[];
  readonly taking: JsonObject[];
  readonly carried: JsonObject[];
  readonly bells: Bell[];
}

type Event = NonNullable<RunHistory['history']['events']>[number];

export async function readRecorded({ histories }: Histories): Promise<Recorded> {
  const all: Collected = { steps: [], taking: [], carried: [], bells: [] };
  const turn = makeTurns();
  for (const { history } of histories) {
    const found: Collected = { steps: [], taking: [], carried: [], bells: [] };
    const starts: Bell[] = [];
    for (const event of history.events ?? []) {
      readInput(event, found, starts);
      readSteps(event, found);
      const { signalName, input } = event.workflowExecutionSignaledEventAttributes ?? {};
      const [raw] = valuesOf(input);
      const arrival = raw === undefined ? null : readSignal(signalName ?? '', raw);
      if (arrival?.kind === 'message') found.bells.push(arrival.bell);
      await turn();
    }
    // A workflow that took no step did not begin with the run's start: it was a stranger's, whose refusal is on record.
    if (found.steps.length > 0) found.bells.push(...starts);
    // A workflow that the service started again continues from no step, and its first step finds that.
    const isStartedAgain = found.steps[0] === undefined || found.steps[0]['isForked'] === true;
    const carried = found.carried.filter(({ digest }) => digest !== null || !isStartedAgain);
    all.steps.push(...found.steps);
    all.taking.push(...found.taking);
    all.carried.push(...carried);
    all.bells.push(...found.bells);
  }
  return all;
}

/** Reads what a history began with, and what it passes on to the next. */
function readInput(event: Event, found: Collected, starts: Bell[]): void {
  const { input } =
    event.workflowExecutionStartedEventAttributes ??
    event.workflowExecutionContinuedAsNewEventAttributes ??
    {};
  const [given] = valuesOf(input);
  if (!isObject(given)) return;
  const start = readBell(given['start']);
  if (start !== null) starts.push(start);
  const carried = given['carried'] ?? null;
  if (!isObject(carried)) return;
  found.carried.push(carried);
  const { bells } = carried;
  if (Array.isArray(bells)) found.bells.push(...bells.flatMap((bell) => readBell(bell) ?? []));
}

function readSteps(event: Event, { steps, taking, carried }: Collected): void {
  const result = valuesOf(event.markerRecordedEventAttributes?.details?.['result']).find(isStep);
  const ended = valuesOf(event.activityTaskCompletedEventAttributes?.result).find(isStep);
  if (ended !== undefined) steps.push(ended);
  if (result === undefined) return;
  steps.push(result);
  const known = taking.at(-1) ?? carried[0];
  if (known === undefined || Number(result['rev']) > Number(known['rev'])) taking.push(result);
}

function isStep(value: unknown): value is JsonObject {
  return isObject(value) && value['status'] === 'stepped';
}

type Payload = Parameters<typeof payloadConverter.fromPayload>[0];

function valuesOf(of: { readonly payloads?: readonly Payload[] | null } | null | undefined): unknown[] {
  return (of?.payloads ?? []).map((payload) => payloadConverter.fromPayload(payload));
}
