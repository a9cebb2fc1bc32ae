import type { OnEnter, Plan, Reliability, State, Tier } from '../../../engine/plan.js';
import { canonical, sameJson } from '../../../model/values/canonical.js';
import type { Json } from '../../../model/values/json.js';
import { effectOf, itemsNotIn, noteOthers, tierEffect, weigh, type Note, type Weighed } from './weigh.js';
import { doingText, durationText, executorText } from './words.js';

// Changes of what a run does without a transition being taken: on entering a state, when something fails, when its time is up.

export function* planChanges(before: Plan, after: Plan): Generator<readonly Weighed[]> {
  const found: Weighed[] = [];
  const note: Note = (effect, sentence, extra = 0) => void found.push(weigh(effect, null, sentence, extra));
  const [was, is] = [timeOf(before), timeOf(after)];
  if (was !== is) note(leadEffect(before.onTimeout, after.onTimeout), `${is}, where until now ${was}`, 3);
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
  return `a run ${end} after ${durationText(timeoutMs)}`;
}

/** The effect of a change of where a time-out, or a denial, leads. */
export function leadEffect<T>(before: T | null, after: T | null): 'wider' | 'narrower' | 'other' {
  return effectOf(before === null && after !== null, before !== null && after === null);
}

function* stateChanges(before: Plan, after: Plan): Generator<readonly Weighed[]> {
  const [old, now] = [before, after].map(
    ({ states }) => new Map(states.map((state) => [state.name, state] as const)),
  );
  for (const name of new Set([...(old?.keys() ?? []), ...(now?.keys() ?? [])]))
    yield stateChange(name, old?.get(name), now?.get(name));
}

function stateChange(name: string, before: State | undefined, after: State | undefined): Weighed[] {
  const [was, is] = [before?.onEnter ?? null, after?.onEnter ?? null];
  const found: Weighed[] = [];
  const tier = (is ?? was)?.tier ?? null;
  const note: Note = (effect, sentence, extra = 0) => void found.push(weigh(effect, tier, sentence, extra));
  const entering = `entering \`${name}\``;
  if (was === null && is !== null) note('wider', `${entering} now ${enterText(is)}, and asks nobody`, 9);
  if (was !== null && is === null) note('narrower', `${entering} no longer ${enterText(was)}`, 9);
  if (was !== null && is !== null) enterChange(entering, was, is, note);
  if (before !== undefined && after !== undefined)
    noteOthers(`the state \`${name}\``, before, after, ['terminal', 'outcome', 'linkFilter'], note);
  return found;
}

function enterText(onEnter: OnEnter): string {
  return doingText({ ...onEnter, tool: null });
}

function enterChange(entering: string, before: OnEnter, after: OnEnter, note: Note): void {
  const [was, is] = [before.tier ?? null, after.tier ?? null];
  if (was !== is) note(tierEffect(was, is), `${entering} was ${tierText(was)} and is ${tierText(is)}`, 4);
  if (!sameJson(before.executor, after.executor))
    note(
      'other',
      `${entering} does something else: ${becameText(executorText(before.executor), executorText(after.executor))}`,
      3,
    );
  reliabilityChange(entering, before.reliability, after.reliability, note);
  noteOthers(entering, before, after, ['output', 'evidence', 'readOnlyBecause'], note);
}

export function tierText(tier: Tier | null): string {
  return tier ?? 'without a tier';
}

/** Two executors that read the same differ in what they send. */
export function becameText(before: string, after: string): string {
  return before === after ? `it ${before} with other values` : `${before} became ${after}`;
}

/** How often the effect may be made, and what is done instead where it fails. */
export function reliabilityChange(key: string, before: Reliability, after: Reliability, note: Note): void {
  const more = after.maxAttempts - before.maxAttempts;
  if (more !== 0)
    note(
      effectOf(more > 0, more < 0),
      `${key} may be tried ${after.maxAttempts} times, where it was ${before.maxAttempts}`,
      3,
    );
  const [was = [], is = []] = [before, after].map(({ fallback }) =>
    fallback.map((each) => canonical(each as unknown as Json)),
  );
  const [known, kept] = [new Set(was), new Set(is)];
  const added = after.fallback.filter((_, index) => !known.has(is[index] ?? ''));
  const gone = before.fallback.filter((_, index) => !kept.has(was[index] ?? ''));
  for (const each of added) note('wider', `where ${key} fails, it now ${executorText(each)}`, 5);
  for (const each of gone) note('narrower', `where ${key} fails, it no longer ${executorText(each)}`, 5);
  if (added.length + gone.length === 0 && !sameJson(was, is))
    note('other', `where ${key} fails, what it does instead comes in another order`, 1);
  const retried = itemsNotIn(after.retryOn, before.retryOn);
  const spared = itemsNotIn(before.retryOn, after.retryOn);
  for (const why of retried) note('wider', `${key} is tried again after \`${why}\``, 2);
  for (const why of spared) note('narrower', `${key} is no longer tried again after \`${why}\``, 2);
  noteOthers(key, before, after, ['timeoutMs', 'backoff', 'initialDelayMs', 'maxDelayMs'], note);
}
