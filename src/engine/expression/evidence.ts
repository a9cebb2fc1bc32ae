import type { Evidence } from '../state.js';
import type { Meter } from './meter.js';

// How much evidence there is of a kind. A run may have ten thousand records of it, and a condition may ask for hundreds of
// kinds: they are counted once, all kinds together.

/** The evidence of a run, and the state and stay in which it is asked for. */
export interface EvidenceAt {
  readonly evidence: readonly Evidence[];
  readonly state: string;
  readonly stay: number;
}

interface Counted {
  readonly all: number;
  readonly distinct: number;
}

interface Tally {
  readonly kinds: ReadonlyMap<string, Counted>;
  readonly approvals: readonly Evidence[];
  /** Distinct humans whose approvals count, by stay and state. */
  readonly humans: Map<string, number>;
}

const none: Counted = { all: 0, distinct: 0 };

/** Lists of evidence never change: another record makes another list. */
const tallies = new WeakMap<readonly Evidence[], Tally>();

/** Units of a meter: for counting one record, and for looking up one kind. */
const recordUnits = 32;
const kindUnits = 64;

/** Charges for counting evidence of so many kinds; for reading the same list, once for each meter. */
export function meterEvidence(meter: Meter, { evidence }: EvidenceAt, kinds: number): void {
  meter.takeOnce(evidence, evidence.length * recordUnits);
  meter.take(kinds * kindUnits);
}

/**
 * `human_request` counts approvals by distinct humans, never the requester's own (those carry no `by`),
 * and not those of an earlier stay in the current state: rework needs a new approval.
 */
export function countEvidence(kind: string, distinct: boolean, at: EvidenceAt): number {
  const tally = tallyOf(at.evidence);
  if (kind === approval) return humansIn(tally, at);
  const counted = tally.kinds.get(kind) ?? none;
  return distinct ? counted.distinct : counted.all;
}

const approval = 'human_request';

function humansIn({ approvals, humans }: Tally, { state, stay }: EvidenceAt): number {
  const stayAndState = `${stay}:${state}`;
  const known = humans.get(stayAndState);
  if (known !== undefined) return known;
  const valid = approvals.filter((item) => !(item.state === state && item.stay !== stay));
  const count = new Set(valid.map((item) => item.by)).size;
  humans.set(stayAndState, count);
  return count;
}

function tallyOf(evidence: readonly Evidence[]): Tally {
  const known = tallies.get(evidence);
  if (known !== undefined) return known;
  const byKind = new Map<string, { all: number; readonly who: Set<string> }>();
  for (const { kind, by, id } of evidence) {
    const counter = byKind.get(kind) ?? { all: 0, who: new Set<string>() };
    counter.all += 1;
    counter.who.add(by ?? id);
    byKind.set(kind, counter);
  }
  const tally = {
    kinds: new Map([...byKind].map(([kind, { all, who }]) => [kind, { all, distinct: who.size }])),
    approvals: evidence.filter(({ kind, by }) => kind === approval && by !== null),
    humans: new Map<string, number>(),
  };
  tallies.set(evidence, tally);
  return tally;
}
