import type { Asked } from '../../engine/state.js';
import { makeTurns } from '../../model/give-way.js';
import type { ApprovalJson } from '../../model/answer-types.js';
import { linesOfGates } from '../../policy/index.js';
import { sourcesOf } from '../../store/flows.js';
import type { ApprovalRow } from '../../store/approvals.js';
import type { Reader } from '../runs/body.js';
import { makeFairTurns } from '../seats.js';

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

/** A text has up to 256 KiB: so many are read together, and for so many answers at a time in one process, and of one principal. */
const mostTexts = 8;
const mostReadings = 2;
const mostOwnReadings = 1;
const readings = makeFairTurns({ each: mostOwnReadings, all: mostReadings });

type Path = NonNullable<Asked['path']>;

/** For the approvals of one answer: their versions' texts are read some at a time, and each once for all rules that stand in it. */
export async function explainer(
  { deps: { pool }, principal }: Reader,
  rows: readonly ApprovalRow[],
  linesIn = linesOfGates,
): Promise<Explain> {
  const versions = versionsOf(rows);
  const lines = new Map<string, number | null>();
  const turn = makeTurns();
  const wanted = [...versions.values()];
  for (let at = 0; at < wanted.length; at += mostTexts)
    await readings(principal?.id ?? null, async () => {
      for (const { name, version, source } of await sourcesOf(pool, wanted.slice(at, at + mostTexts))) {
        const paths = [...(versions.get(keyOf(name, version))?.paths.values() ?? [])];
        await turn();
        const found = linesIn(source, paths);
        for (const [index, path] of paths.entries())
          lines.set(keyOf(name, version, path), found[index] ?? null);
      }
    });
  return ({ flow, doc }) =>
    doc.asked.map((one) => worded(one, lines.get(keyOf(flow, doc.flowVersion, one.path)) ?? null));
}

interface Version {
  readonly name: string;
  readonly version: number;
  /** Where in its text the rules stand, each once. */
  readonly paths: Map<string, Path>;
}

/** The versions that hold the rules by which these approvals are asked for. */
function versionsOf(rows: readonly ApprovalRow[]): Map<string, Version> {
  const found = new Map<string, Version>();
  for (const { flow, doc } of rows) {
    const { flowVersion, asked } = doc;
    for (const { path } of asked) {
      if (path === null) continue;
      const key = keyOf(flow, flowVersion);
      const version = found.get(key) ?? { name: flow, version: flowVersion, paths: new Map<string, Path>() };
      found.set(key, version);
      version.paths.set(JSON.stringify(path), path);
    }
  }
  return found;
}

function keyOf(flow: string, version: number, path: Path | null = null): string {
  return JSON.stringify([flow, version, path]);
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
