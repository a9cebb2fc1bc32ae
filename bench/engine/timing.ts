import { spread } from '../measure.js';

// Measures calls one after another on a single thread: how many a second, and how long each took.

/** Something to measure. `call` says whether its result is right. */
export interface Subject {
  readonly name: string;
  readonly call: (index: number) => boolean;
  /** The share of the iterations that it gets: less than 1 for a call that takes very long. */
  readonly share: number;
}

export interface Measured {
  readonly opsPerSecond: number;
  readonly rounds: readonly number[];
  /** Times of single calls; they include the clock's own cost (`clockNs`). */
  readonly ns: { readonly p50: number; readonly p99: number; readonly p999: number };
  readonly calls: number;
}

interface Round {
  readonly perSecond: number;
  readonly p50: number;
  readonly p99: number;
  readonly p999: number;
}

/** Measures each subject once a round, so that a slow minute of the machine affects them all. Gives medians over the rounds. */
export function measure(
  subjects: readonly Subject[],
  sizes: { readonly iterations: number; readonly rounds: number },
  say: (line: string) => void,
): Record<string, Measured> {
  const counts = new Map(
    subjects.map((subject) => [subject, Math.max(Math.round(sizes.iterations * subject.share), 20)]),
  );
  const rounds = new Map<Subject, Round[]>(subjects.map((subject) => [subject, []]));
  for (const [subject, count] of counts) void measureRound(subject, count);
  say(`warmed up ${subjects.length} subjects`);
  for (let left = sizes.rounds; left > 0; left -= 1) {
    for (const [subject, count] of counts) rounds.get(subject)?.push(measureRound(subject, count));
    say(`round ${sizes.rounds - left + 1} of ${sizes.rounds}`);
  }
  return Object.fromEntries(
    [...rounds].map(([subject, all]): [string, Measured] => {
      const middle = (of: (round: Round) => number): number => Math.round(spread(all.map(of)).p50);
      return [
        subject.name,
        {
          opsPerSecond: middle((round) => round.perSecond),
          rounds: all.map((round) => Math.round(round.perSecond)),
          ns: {
            p50: middle((round) => round.p50),
            p99: middle((round) => round.p99),
            p999: middle((round) => round.p999),
          },
          calls: all.length * (counts.get(subject) ?? 0),
        },
      ];
    }),
  );
}

/** Measures the rate without a clock between calls, then the time of each call. */
function measureRound(subject: Subject, count: number): Round {
  const { call } = subject;
  let right = 0;
  const started = performance.now();
  for (let index = 0; index < count; index += 1) if (call(index)) right += 1;
  const seconds = (performance.now() - started) / 1_000;
  const times = new Float64Array(count);
  for (let index = 0; index < count; index += 1) {
    const from = performance.now();
    const ok = call(index);
    times[index] = performance.now() - from;
    if (ok) right += 1;
  }
  if (right !== 2 * count) throw new Error(`\`${subject.name}\` gave ${2 * count - right} wrong answers`);
  times.sort();
  const at = (share: number): number =>
    (times[Math.min(Math.ceil(count * share), count) - 1] ?? Number.NaN) * 1e6;
  return { perSecond: count / seconds, p50: at(0.5), p99: at(0.99), p999: at(0.999) };
}
