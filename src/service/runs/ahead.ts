import type { RunState } from '../../engine/state.js';
import type { Message, SignedMessage } from '../../model/message.js';
import type { PolicySet } from '../../model/policy-set.js';
import { isObject } from '../../model/values/json.js';
import { openMessage, verifyingKeyOf } from '../../auth/index.js';
import { getUntaken } from '../../store/runs/messages.js';
import type { ListedRun } from '../../store/runs/runs.js';
import type { ServiceDeps } from '../deps.js';
import { parseValue, readAll } from '../values.js';

// A run on paper, after the submits that wait for it. What was played is kept for some seconds, so that of many submits to one run each
// is played once.

/** A run after the messages that wait for it, with their ids in their order. */
export interface Ahead {
  readonly waiting: readonly string[];
  readonly state: RunState;
}

/** What a run on paper goes on from: another step, or other policies, and it is to be played again. */
interface Footing {
  readonly rev: number;
  readonly policySet: PolicySet;
}

export interface PlayedRuns {
  /** The furthest of what was played, of the messages that wait now; null: none of it is. */
  find(run: string, footing: Footing, waiting: readonly string[]): Ahead | null;
  /** In place of what was kept of the run before. */
  keep(run: string, footing: Footing, played: readonly Ahead[]): void;
}

/** Keeps those of the runs that were played last, `most` of them, each for `ms` after that: they hold values in clear. */
export function makePlayedRuns({ most, ms }: { readonly most: number; readonly ms: number }): PlayedRuns {
  const known = new Map<
    string,
    Footing & { readonly played: readonly Ahead[]; readonly timer: NodeJS.Timeout }
  >();
  const forget = (run: string): void => {
    clearTimeout(known.get(run)?.timer);
    known.delete(run);
  };
  return {
    find: (run, { rev, policySet }, waiting) => {
      const kept = known.get(run);
      if (kept === undefined || kept.rev !== rev || kept.policySet !== policySet) return null;
      const fitting = kept.played.filter((each) => each.waiting.every((id, at) => id === waiting[at]));
      return fitting.sort((one, other) => other.waiting.length - one.waiting.length)[0] ?? null;
    },
    keep: (run, { rev, policySet }, played) => {
      forget(run);
      known.set(run, { rev, policySet, played, timer: setTimeout(() => forget(run), ms).unref() });
      const [oldest] = known.keys();
      if (known.size > most && oldest !== undefined) forget(oldest);
    },
  };
}

/** How a run is played: one message after the other. */
export interface Playing {
  readonly read: (ids: readonly string[]) => Promise<readonly Message[] | null>;
  readonly play: (state: RunState, message: Message) => Promise<RunState>;
  /** Called with each state that was come to. */
  readonly keep: (ahead: Ahead) => void;
}

/** Plays what waits for a run and was not played yet. Null: it cannot be read, or nobody waits for this any more. */
export async function playAhead(
  from: Ahead,
  waiting: readonly string[],
  { read, play, keep }: Playing,
  signal: AbortSignal,
): Promise<Ahead | null> {
  const left = waiting.slice(from.waiting.length);
  const messages = left.length === 0 ? [] : await read(left);
  if (messages === null) return null;
  let ahead = from;
  for (const message of messages) {
    if (signal.aborted) return null;
    ahead = { waiting: [...ahead.waiting, message.id], state: await play(ahead.state, message) };
    keep(ahead);
  }
  return signal.aborted ? null : ahead;
}

/** Submits of the store that no step has taken, verified, with their arguments; null: not all of them are there and can be read. */
export async function readWaiting(
  deps: ServiceDeps,
  { id: run, environment }: Pick<ListedRun, 'id' | 'environment'>,
  ids: readonly string[],
): Promise<readonly Message[] | null> {
  const stored = await getUntaken(deps.pool, run, ids);
  const submits: SubmitMessage[] = [];
  for (const sealed of stored) {
    const opened = openMessage(sealed, { run, environment, publicKey: () => verifyingKeyOf(sealed) });
    if (opened.status !== 'ok' || !isSubmit(opened.message)) return null;
    submits.push(opened.message);
  }
  return submits.length === ids.length ? withArguments(deps, submits) : null;
}

type SubmitMessage = SignedMessage & { readonly body: { readonly kind: 'submit' } };

function isSubmit(message: SignedMessage): message is SubmitMessage {
  return message.body.kind === 'submit';
}

async function withArguments(
  deps: ServiceDeps,
  submits: readonly SubmitMessage[],
): Promise<readonly Message[] | null> {
  const refs = submits.map((submit) => submit.refs.find(({ role }) => role === 'args') ?? null);
  const read = await readAll(deps, refs);
  const messages: Message[] = [];
  for (const [at, { environment: _environment, body, ...envelope }] of submits.entries()) {
    const value = await parseValue(read.text(refs[at] ?? null));
    if (!isObject(value)) return null;
    messages.push({ ...envelope, body: { ...body, arguments: value } });
  }
  return messages;
}
