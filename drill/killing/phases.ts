import { rounded, runConcurrently } from '../../bench/measure.js';
import { until } from '../../testing/until.js';
import type { Stack } from '../../testing/servers/stack.js';
import { decideOn, insist, isTaken, type Parked, type People, type InsistResult } from '../caller.js';
import type { DecisionPlan, Told } from '../judge.js';

// One outage: people decide while a part goes down and while it is down, and repeat their requests until they are answered.

export interface Case {
  readonly parked: Parked;
  readonly plan: DecisionPlan;
}

export interface Outage {
  readonly name: string;
  down(): Promise<void>;
  up(): Promise<void>;
}

/** A third of the gates ask for one person, a third for two people, and a third are gates of a charter. */
export function flowOf(n: number): { readonly flow: string; readonly transition: string } {
  if (n % 3 === 0) return { flow: 'payment', transition: 'erp.payment.draft' };
  return { flow: n % 3 === 1 ? 'one' : 'two', transition: 'pay' };
}

/** Of every five parked payments, four are approved and one is denied. */
export function planOf(n: number, { run, approval, flow }: Parked): DecisionPlan {
  const decision = n % 5 === 4 ? 'deny' : 'approve';
  return { run, approval, decision, people: decision === 'approve' && flow === 'two' ? 2 : 1 };
}

type ToldDecision = Told & InsistResult;

interface Listeners {
  /** Called for each final answer. */
  readonly onTold?: () => void;
  /** Called for each answer. */
  readonly onAnswer?: () => void;
}

async function decideCase(
  { controllers }: People,
  { parked, plan }: Case,
  listeners: Listeners,
): Promise<ToldDecision[]> {
  const told: ToldDecision[] = [];
  for (const by of controllers.slice(0, plan.people)) {
    const key = `${parked.approval}-${by.id}`;
    const result = await insist(async () => {
      const reply = await decideOn(by, parked, plan.decision, key);
      listeners.onAnswer?.();
      return reply;
    });
    told.push({ ...result, run: plan.run, by: by.id });
    listeners.onTold?.();
  }
  return told;
}

const inFlight = 8;

export async function decideCases(
  people: People,
  cases: readonly Case[],
  listeners: Listeners = {},
): Promise<readonly ToldDecision[]> {
  const told: ToldDecision[] = [];
  const left = [...cases];
  await runConcurrently(cases.length, inFlight, async () => {
    const next = left.shift();
    if (next !== undefined) told.push(...(await decideCase(people, next, listeners)));
  });
  return told;
}

/** Counts decisions that were never answered with success, although they were repeated. */
export const countUnanswered = (told: readonly Told[]): number =>
  told.filter(({ reply }) => !isTaken(reply)).length;

/** A promise, and the counter that fulfils it. */
function countTo(wanted: number): { readonly reached: Promise<void>; count(): void } {
  let left = wanted;
  let fulfil: () => void = () => undefined;
  const reached = new Promise<void>((resolve) => (fulfil = resolve));
  return {
    reached,
    count() {
      left -= 1;
      if (left === 0) fulfil();
    },
  };
}

/** What an outage did to people who decided, as seen from outside. */
export interface OutageWhileDeciding {
  readonly name: string;
  readonly decisions: number;
  /** Decisions whose first answer said that the run had taken them. */
  readonly takenAtOnce: number;
  /** Decisions whose first answer said that they are durable; the run takes them later. */
  readonly durableAtOnce: number;
  /** Decisions that were repeated, because the first answer was not final or did not come. */
  readonly repeated: number;
  readonly unanswered: number;
  /** From the beginning of the outage to the first acceptance of a decision that was sent during it. */
  readonly firstAcceptedMs: number;
  readonly readyAgainMs: number;
}

/** How an outage left the waiting approvals, while nobody decided. */
export interface OutageWhileWaiting {
  readonly name: string;
  /** Approvals that are open once everything is ready again. */
  readonly waiting: number;
  readonly readyAgainMs: number;
}

export async function waitThroughOutage(
  stack: Stack,
  outage: Outage,
  countWaiting: () => Promise<number>,
): Promise<OutageWhileWaiting> {
  const downAt = performance.now();
  await outage.down();
  await outage.up();
  await until('everything to be ready', () => isReady(stack), 60_000);
  const readyAgainMs = rounded(performance.now() - downAt);
  return { name: outage.name, waiting: await countWaiting(), readyAgainMs };
}

/** Half of the cases are being decided when the part goes down; the other half is sent while it is down. */
export async function decideThroughOutage(
  stack: Stack,
  people: People,
  outage: Outage,
  cases: readonly Case[],
): Promise<{ readonly seen: OutageWhileDeciding; readonly told: readonly Told[] }> {
  const half = Math.ceil(cases.length / 2);
  const underWay = countTo(Math.max(Math.floor(half / 4), 1));
  const before = decideCases(people, cases.slice(0, half), { onTold: underWay.count });
  await underWay.reached;
  const downAt = performance.now();
  await outage.down();
  // The part comes back once as many requests as there are lanes have been answered without it.
  const lanes = countTo(Math.min(inFlight, cases.length - half));
  const down = decideCases(people, cases.slice(half), { onAnswer: lanes.count });
  await Promise.race([lanes.reached, down]);
  await outage.up();
  await until('everything to be ready', () => isReady(stack), 60_000);
  const ready = performance.now();
  const toldMeanwhile = await down;
  const told = [...(await before), ...toldMeanwhile];
  const first = (status: number): number => told.filter((answer) => answer.first.status === status).length;
  const accepted = toldMeanwhile.filter(({ reply }) => isTaken(reply));
  const seen: OutageWhileDeciding = {
    name: outage.name,
    decisions: told.length,
    takenAtOnce: first(200),
    durableAtOnce: first(202),
    repeated: told.filter((answer) => answer.tries > 1).length,
    unanswered: countUnanswered(told),
    firstAcceptedMs: rounded(Math.min(...accepted.map(({ at }) => at)) - downAt),
    readyAgainMs: rounded(ready - downAt),
  };
  return { seen, told };
}

async function isReady(stack: Stack): Promise<true | null> {
  try {
    const { status, body } = await stack.fetchAs(null, 'GET', '/readyz');
    return status === 200 && (body as { worker?: boolean }).worker === true ? true : null;
  } catch {
    return null;
  }
}
