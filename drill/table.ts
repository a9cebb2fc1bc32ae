import type { OutageWhileWaiting, OutageWhileDeciding } from './killing/phases.js';
import type { UnderWay } from './killing/under-way.js';

// The tables of docs/reliability.md: of the kill drill and of the races.

export interface KillReport {
  readonly parked: number;
  readonly approved: number;
  readonly denied: number;
  readonly whileAllWait: readonly OutageWhileWaiting[];
  readonly whilePeopleDecide: readonly OutageWhileDeciding[];
  readonly rest: { readonly approvals: number };
  readonly underWay: readonly UnderWay[];
  readonly executedOnce: number;
  readonly deniedUntouched: number;
  readonly requestsRepeatedUnderTheSameKey: number;
  readonly records: number;
  readonly lost: number;
  readonly executedWithoutApproval: number;
  readonly twice: number;
  readonly refusedAndApplied: number;
  readonly neverAnswered: number;
  readonly chainBroken: number;
  readonly notEnded: number;
}

export function renderKillTable(report: KillReport): string {
  const { parked } = report;
  return [
    ...renderTable(
      [`while all ${parked} wait`, 'open after it', 'ready again'],
      report.whileAllWait.map((outage) => [outage.name, outage.waiting, seconds(outage.readyAgainMs)]),
    ),
    '',
    ...renderTable(
      [
        ...['while people decide', 'decisions', 'taken at once', 'durable, taken later', 'sent again'],
        ...['never answered', 'first accepted after', 'ready again'],
      ],
      report.whilePeopleDecide.map((outage) => [
        ...[
          outage.name,
          outage.decisions,
          outage.takenAtOnce,
          outage.durableAtOnce,
          outage.repeated,
          outage.unanswered,
        ],
        ...[seconds(outage.firstAcceptedMs), seconds(outage.readyAgainMs)],
      ]),
    ),
    '',
    ...renderTable(
      ['under way in a run', 'runs', 'faults'],
      report.underWay.map((scenario) => [scenario.name, scenario.runs, scenario.faults.length]),
    ),
    '',
    ...renderTable(
      ['what is to be', 'found'],
      [
        ['approved, and executed exactly once', `${report.executedOnce} of ${report.approved}`],
        ['denied, and never executed', `${report.deniedUntouched} of ${report.denied}`],
        ['decided in calm, after it all', report.rest.approvals],
        ['lost', report.lost],
        ['executed without approval', report.executedWithoutApproval],
        ['executed twice', report.twice],
        ['decisions that were told a refusal and counted', report.refusedAndApplied],
        ['decisions without a final answer', report.neverAnswered],
        ['approvals that did not end', report.notEnded],
        ['chains that do not verify', `${report.chainBroken} (${report.records} records)`],
        [
          'requests repeated under the same idempotency key, answered from the first',
          report.requestsRepeatedUnderTheSameKey,
        ],
      ],
    ),
    '',
  ].join('\n');
}

export interface KindReport {
  readonly races: number;
  readonly outcomes: Readonly<Record<string, number>>;
  /** How many requests were refused, by status and code. */
  readonly refused: Readonly<Record<string, number>>;
}

/** A table of each kind of race, then a table of the faults that no race may have. */
export function renderRacesTable(
  kinds: Readonly<Record<string, KindReport>>,
  faults: Readonly<Record<string, number>>,
): string {
  const counted = (counts: Readonly<Record<string, number>>): string =>
    Object.entries(counts)
      .sort(([a], [b]) => (a < b ? -1 : 1))
      .map(([name, count]) => `${count} ${name}`)
      .join(', ');
  return [
    ...renderTable(
      ['race', 'races', 'outcomes', 'told to losers'],
      Object.entries(kinds).map(([name, { races, outcomes, refused }]) => [
        ...[name, races, counted(outcomes), counted(refused)],
      ]),
    ),
    '',
    ...renderTable(['what no race may have', 'found'], Object.entries(faults)),
    '',
  ].join('\n');
}

type Cell = string | number;

export function renderTable(head: readonly string[], rows: readonly (readonly Cell[])[]): string[] {
  const line = (cells: readonly Cell[]): string => `| ${cells.join(' | ')} |`;
  return [line(head), `|${'---|'.repeat(head.length)}`, ...rows.map(line)];
}

function seconds(ms: number): string {
  return `${(ms / 1_000).toFixed(1)} s`;
}
