import type { Asked } from '../../engine/state.js';
import { makeTurns } from '../../model/give-way.js';
import type { ApprovalJson } from '../../model/answer-types.js';
import { linesOfGates } from '../../policy/index.js';
import { sourcesOf } from '../../store/flows.js';
import type { ApprovalRow } from '../../store/approvals.js';
import type { ServiceDeps } from '../deps.js';
import { makeTurns as makeLanes } from '../seats.js';

/** One rule that asks for an approval: `amount 60,000 > 50,000`, where it is written, and in words. */
export interface Because {
  readonly source: string;
  readonly rule: string;
  /** What its condition read; null: it always applies. */
  readonly read: string | null;
  /** In the source of the flow's version; null: it is written elsewhere. */
  readonly line: number | null;
  readonly text: string;
}

export type Explain = (row: ApprovalRow) => readonly Because[];

/** A text has up to 256 KiB: so many are read together, and for so many answers at a time in one process. */
const mostTexts = 8;
const mostReadings = 2;
const readings = makeLanes(mostReadings);

/** For the approvals of one answer: their versions' texts are read some at a time, and once for all that the same rules ask for. */
export async function explainer(
  { pool }: Pick<ServiceDeps, 'pool'>,
  rows: readonly ApprovalRow[],
): Promise<Explain> {
  const located = rows.filter(({ doc }) => doc.asked.some(({ path }) => path !== null));
  const versions = new Map(
    located.map(({ flow, doc }) => [
      versionKey(flow, doc.flowVersion),
      { name: flow, version: doc.flowVersion },
    ]),
  );
  const lines = new Map<string, readonly (number | null)[]>();
  const turn = makeTurns();
  const wanted = [...versions.values()];
  for (let at = 0; at < wanted.length; at += mostTexts)
    await readings(async () => {
      for (const { name, version, source } of await sourcesOf(pool, wanted.slice(at, at + mostTexts)))
        for (const row of located) {
          if (row.flow !== name || row.doc.flowVersion !== version) continue;
          const key = rulesKey(row);
          if (lines.has(key)) continue;
          await turn();
          lines.set(
            key,
            linesOfGates(
              source,
              row.doc.asked.map(({ path }) => path),
            ),
          );
        }
    });
  return (row) => {
    const found = lines.get(rulesKey(row)) ?? [];
    return row.doc.asked.map((one, index) => worded(one, found[index] ?? null));
  };
}

function versionKey(flow: string, version: number): string {
  return JSON.stringify([flow, version]);
}

function rulesKey({ flow, doc }: ApprovalRow): string {
  return JSON.stringify([flow, doc.flowVersion, doc.asked.map(({ path }) => path)]);
}

function worded({ source, rule, reason }: Asked, line: number | null): Because {
  const where = line === null ? '' : ` line ${line}`;
  const text = reason === null ? `${rule}${where && `,${where}`}` : `${reason}, ${source}${where}`;
  return { source, rule, read: reason, line, text };
}

/** `asked because amount 60,000 > 50,000, charter line 12`; null: nothing is known of why. */
export function reasonOf(because: readonly Because[]): string | null {
  return because.length === 0 ? null : `asked because ${because.map((one) => one.text).join('; and ')}`;
}

export function listed(because: readonly Because[]): ApprovalJson['because'] {
  return because.map(({ line, ...one }) => ({ ...one, ...(line === null ? {} : { line }) }));
}
