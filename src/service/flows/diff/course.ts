import type { OnEnter, Plan, Reliability, State, Tier } from '../../../engine/plan.js';
import { canonical, sameJson } from '../../../model/canonical.js';
import type { Json } from '../../../model/json.js';
import { effectOf, missing, noteOthers, tierEffect, weigh, type Note, type Weighed } from './weigh.js';
import { does, duration, executorText } from './words.js';

// What a run does without anybody taking a transition: on entering a state, when something fails, when its time is up.

export function* planChanges(before: Plan, after: Plan): Generator<readonly Weighed[]> {
  const found: Weighed[] = [];
  const note: Note = (effect, sentence, extra = 0) => void found.push(weigh(effect, null, sentence, extra));
  const [was, is] = [timeOf(before), timeOf(after)];
  if (was !== is) note(moves(before.onTimeout, after.onTimeout), `${is}, where until now ${was}`, 3);
  const deeper = after.maxChainDepth - before.maxChainDepth;
  if (deeper !== 0)
    note(
      effectOf(deeper > 0, deeper < 0),
      `the runtime may take ${after.maxChainDepth} steps by itself, where it took ${before.maxChainDepth}`,
    );
  const others = ['environment', 'initialState', 'initialContext', 'inputSchema', 'linkFilter'] as const;
  noteOthers('the flow', before, after, others, note);
  yield found;
  yield* stateChanges(before, after);
}

function timeOf({ timeoutMs, onTimeout }: Plan): string {
  if (timeoutMs === null) return 'a run has no time of its own';
  const end = onTimeout === null ? 'ends' : `goes to \`${onTimeout.target}\``;
  return `a run ${end} after ${duration(timeoutMs)}`;
}

/** What time, or a denial, leads on to. */
export function moves<T>(one: T | null, other: T | null): 'wider' | 'narrower' | 'other' {
  return effectOf(one === null && other !== null, one !== null && other === null);
}

function* stateChanges(before: Plan, after: Plan): Generator<readonly Weighed[]> {
  const [old, now] = [before, after].map(
    ({ states }) => new Map(states.map((one) => [one.name, one] as const)),
  );
  for (const name of new Set([...(old?.keys() ?? []), ...(now?.keys() ?? [])]))
    yield stateChange(name, old?.get(name), now?.get(name));
}

function stateChange(name: string, one: State | undefined, other: State | undefined): Weighed[] {
  const [was, is] = [one?.onEnter ?? null, other?.onEnter ?? null];
  const found: Weighed[] = [];
  const tier = (is ?? was)?.tier ?? null;
  const note: Note = (effect, sentence, extra = 0) => void found.push(weigh(effect, tier, sentence, extra));
  const entering = `entering \`${name}\``;
  if (was === null && is !== null) note('wider', `${entering} now ${doesOf(is)}, and asks nobody`, 9);
  if (was !== null && is === null) note('narrower', `${entering} no longer ${doesOf(was)}`, 9);
  if (was !== null && is !== null) enterChange(entering, was, is, note);
  if (one !== undefined && other !== undefined)
    noteOthers(`the state \`${name}\``, one, other, ['terminal', 'outcome', 'linkFilter'], note);
  return found;
}

function doesOf(onEnter: OnEnter): string {
  return does({ ...onEnter, tool: null });
}

function enterChange(entering: string, one: OnEnter, other: OnEnter, note: Note): void {
  const [was, is] = [one.tier ?? null, other.tier ?? null];
  if (was !== is) note(tierEffect(was, is), `${entering} was ${tierText(was)} and is ${tierText(is)}`, 4);
  if (!sameJson(one.executor, other.executor))
    note(
      'other',
      `${entering} does something else: ${becameText(executorText(one.executor), executorText(other.executor))}`,
      3,
    );
  reliabilityChange(entering, one.reliability, other.reliability, note);
  noteOthers(entering, one, other, ['output', 'evidence', 'readOnlyBecause'], note);
}

export function tierText(tier: Tier | null): string {
  return tier ?? 'without a tier';
}

/** Two that read the same differ in what they send. */
export function becameText(one: string, other: string): string {
  return one === other ? `it ${one} with other values` : `${one} became ${other}`;
}

/** How often the effect may be made, and what is done instead where it fails. */
export function reliabilityChange(key: string, one: Reliability, other: Reliability, note: Note): void {
  const more = other.maxAttempts - one.maxAttempts;
  if (more !== 0)
    note(
      effectOf(more > 0, more < 0),
      `${key} may be tried ${other.maxAttempts} times, where it was ${one.maxAttempts}`,
      3,
    );
  const [was = [], is = []] = [one, other].map(({ fallback }) =>
    fallback.map((each) => canonical(each as unknown as Json)),
  );
  const [known, kept] = [new Set(was), new Set(is)];
  const added = other.fallback.filter((_, index) => !known.has(is[index] ?? ''));
  const gone = one.fallback.filter((_, index) => !kept.has(was[index] ?? ''));
  for (const each of added) note('wider', `where ${key} fails, it now ${executorText(each)}`, 5);
  for (const each of gone) note('narrower', `where ${key} fails, it no longer ${executorText(each)}`, 5);
  if (added.length + gone.length === 0 && !sameJson(was, is))
    note('other', `where ${key} fails, what it does instead comes in another order`, 1);
  const retried = missing(other.retryOn, one.retryOn);
  const spared = missing(one.retryOn, other.retryOn);
  for (const why of retried) note('wider', `${key} is tried again after \`${why}\``, 2);
  for (const why of spared) note('narrower', `${key} is no longer tried again after \`${why}\``, 2);
  noteOthers(key, one, other, ['timeoutMs', 'backoff', 'initialDelayMs', 'maxDelayMs'], note);
}
