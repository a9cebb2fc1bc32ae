import { rounded, runConcurrently } from '../bench/measure.js';
import { until } from '../testing/until.js';
import type { Stack } from '../testing/stack.js';
import { decideOn, insist, type Parked, type People, type Told } from './caller.js';
import type { DecisionPlan } from './judge.js';

// One blow: people are deciding while it falls and while the part is down, and insist until they are answered.

export interface Case {
  readonly parked: Parked;
  readonly plan: DecisionPlan;
}

export interface Blow {
  readonly name: string;
  down(): Promise<void>;
  up(): Promise<void>;
}

/** Of five parked, four are approved and one is denied; every third gate asks for two people, every third is a charter's. */
export function flowOf(n: number): { readonly flow: string; readonly transition: string } {
  if (n % 3 === 0) return { flow: 'payment', transition: 'erp.payment.draft' };
  return { flow: n % 3 === 1 ? 'one' : 'two', transition: 'pay' };
}

export function planOf(n: number, { run, approval, flow }: Parked): DecisionPlan {
  const decision = n % 5 === 4 ? 'deny' : 'approve';
  return { run, approval, decision, people: decision === 'approve' && flow === 'two' ? 2 : 1 };
}

interface Decided {
  readonly told: readonly Told[];
  /** Decisions that nobody answered with success, however long they insisted. */
  readonly unanswered: number;
}

/** Told of every final answer, and of every answer at all. */
interface Ears {
  readonly onTold?: () => void;
  readonly onAnswer?: () => void;
}

async function decideCase({ controllers }: People, { parked, plan }: Case, ears: Ears): Promise<Told[]> {
  const told: Told[] = [];
  for (const by of controllers.slice(0, plan.people)) {
    const key = `${parked.approval}-${by.id}`;
    told.push(
      await insist(async () => {
        const reply = await decideOn(by, parked, plan.decision, key);
        ears.onAnswer?.();
        return reply;
      }),
    );
    ears.onTold?.();
  }
  return told;
}

const inFlight = 8;

export async function decideCases(people: People, cases: readonly Case[], ears: Ears = {}): Promise<Decided> {
  const told: Told[] = [];
  const left = [...cases];
  await runConcurrently(cases.length, inFlight, async () => {
    const next = left.shift();
    if (next !== undefined) told.push(...(await decideCase(people, next, ears)));
  });
  const unanswered = told.filter(({ reply }) => reply.status !== 200 && reply.status !== 202);
  return { told, unanswered: unanswered.length };
}

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

/** What one blow did, as seen from outside. */
export interface Struck {
  readonly name: string;
  readonly decisions: number;
  /** Decisions whose first answer was: taken by the run; durable, to be taken; refused or no answer, then repeated. */
  readonly takenAtOnce: number;
  readonly durableAtOnce: number;
  readonly repeated: number;
  readonly unanswered: number;
  /** From the blow to the first decision that was sent after it and accepted. */
  readonly firstAcceptedMs: number;
  readonly readyAgainMs: number;
}

/** What a blow left of those that wait, when nobody decides. */
export interface Stood {
  readonly name: string;
  /** Approvals that are open once everything is ready again. */
  readonly waiting: number;
  readonly readyAgainMs: number;
}

export async function withstand(
  stack: Stack,
  blow: Blow,
  countWaiting: () => Promise<number>,
): Promise<Stood> {
  const fell = performance.now();
  await blow.down();
  await blow.up();
  await until('everything to be ready', () => isReady(stack), 60_000);
  const readyAgainMs = rounded(performance.now() - fell);
  return { name: blow.name, waiting: await countWaiting(), readyAgainMs };
}

/** Half of the cases are being decided when it falls; the other half is sent while the part is down. */
export async function strike(
  stack: Stack,
  people: People,
  blow: Blow,
  cases: readonly Case[],
): Promise<Struck> {
  const half = Math.ceil(cases.length / 2);
  const underWay = countTo(Math.max(Math.floor(half / 4), 1));
  const before = decideCases(people, cases.slice(0, half), { onTold: underWay.count });
  await underWay.reached;
  const fell = performance.now();
  await blow.down();
  // What is down is met by as many people as there are lanes before it comes back.
  const lanes = countTo(Math.min(inFlight, cases.length - half));
  const down = decideCases(people, cases.slice(half), { onAnswer: lanes.count });
  await Promise.race([lanes.reached, down]);
  await blow.up();
  await until('everything to be ready', () => isReady(stack), 60_000);
  const ready = performance.now();
  const met = await down;
  const all = [await before, met];
  const told = all.flatMap((each) => each.told);
  const first = (status: number): number => told.filter((answer) => answer.first.status === status).length;
  const accepted = met.told.filter(({ reply }) => reply.status > 0 && reply.status < 300);
  return {
    name: blow.name,
    decisions: told.length,
    takenAtOnce: first(200),
    durableAtOnce: first(202),
    repeated: told.filter((answer) => answer.tries > 1).length,
    unanswered: all.reduce((sum, each) => sum + each.unanswered, 0),
    firstAcceptedMs: rounded(Math.min(...accepted.map(({ at }) => at)) - fell),
    readyAgainMs: rounded(ready - fell),
  };
}

async function isReady(stack: Stack): Promise<true | null> {
  try {
    const { status, body } = await stack.fetchAs(null, 'GET', '/readyz');
    return status === 200 && (body as { worker?: boolean }).worker === true ? true : null;
  } catch {
    return null;
  }
}
