import { historyFromJSON, type History } from './history-json.js';
import { Worker, type InjectedSinks } from '@temporalio/worker';
import { sameJson } from '../../model/values/canonical.js';
import { payloadConverter } from '../../workflows/payload-converter.js';
import { replayCheck, type Telling } from '../../workflows/telling.js';

/** What the kernel asked for in the replay, by the ids that the history uses. */
interface AskedFor {
  readonly timers: Map<string, number>;
  readonly activities: Map<string, unknown[]>;
}

/** Replays a history, and compares its timers and the inputs of its activities. Gives the difference; null: there is none. */
export async function replayHistory(bundle: string, run: string, json: unknown): Promise<string | null> {
  const history = historyFromJSON(json);
  // A workflow that has not run yet (a delayed start) has nothing to replay, and the SDK would wait for it.
  if (!history.events?.some((event) => event.workflowTaskScheduledEventAttributes)) return null;
  const asked: AskedFor = { timers: new Map(), activities: new Map() };
  const sinks: InjectedSinks<Telling> = {
    kernel: {
      startsTimer: {
        fn: (_, seq, ms) => void asked.timers.set(String(seq), ms),
        callDuringReplay: true,
      },
      schedulesActivity: {
        fn: (_, seq, args) => void asked.activities.set(String(seq), args),
        callDuringReplay: true,
      },
    },
  };
  const options = { workflowBundle: { codePath: bundle }, replayName: replayCheck, sinks };
  try {
    await Worker.runReplayHistory(options, history, run);
  } catch (error) {
    return error instanceof Error ? error.message : 'the history does not replay';
  }
  return findDifference(history, asked);
}

function findDifference({ events }: History, asked: AskedFor): string | null {
  for (const event of events ?? []) {
    const timer = event.timerStartedEventAttributes;
    const ms = asked.timers.get(timer?.timerId ?? '');
    if (timer && msOf(timer.startToFireTimeout) !== ms)
      return `event ${event.eventId}: a timer of another length than the kernel sets, which is ${ms} ms`;
    const activity = event.activityTaskScheduledEventAttributes;
    if (activity && !isInput(activity.input?.payloads ?? [], asked.activities.get(activity.activityId ?? '')))
      return `event ${event.eventId}: an activity with another input than the kernel gives it`;
  }
  return null;
}

/** A duration in milliseconds. `seconds` may be a number instead of a `Long`, because the history was read from JSON. */
function msOf(
  length: { readonly seconds?: unknown; readonly nanos?: number | null } | null | undefined,
): number {
  return Number(String(length?.seconds ?? 0)) * 1_000 + (length?.nanos ?? 0) / 1_000_000;
}

function isInput(
  payloads: readonly Parameters<typeof payloadConverter.fromPayload>[0][],
  args: unknown[] | undefined,
): boolean {
  return sameJson(
    payloads.map((payload) => payloadConverter.fromPayload(payload)),
    args,
  );
}
