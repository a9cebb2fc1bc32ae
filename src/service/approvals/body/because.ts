import type { Asked } from '../../../engine/state.js';
import { makeTurns } from '../../../model/give-way.js';
import type { ApprovalJson } from '../../../model/contract/answer-types.js';
import { linesOfGates } from '../../../policy/index.js';
import { sourcesOf } from '../../../store/flows/flows.js';
import type { ApprovalRow } from '../../../store/approvals/approvals.js';
import type { Reader } from '../../runs/document.js';
import { makeFairTurns } from '../../seats.js';

/** A rule that asks for an approval: `amount 60,000 > 50,000`, where it is written, and in words. */
export interface Because {
  readonly source: string;
  readonly rule: string;
  /** The values that its condition has read; null: the rule always applies. */
  readonly read: string | null;
  /** Line in the source of the flow's version; null: the rule is written elsewhere. */
  readonly line: number | null;
  readonly text: string;
}

export type Explain = (row: ApprovalRow) => readonly Because[];

/** A source has up to 256 KiB, so few are read together, for few answers at a time, and for fewer of one principal. */
const mostTexts = 8;
const mostReadings = 2;
const mostOwnReadings = 1;
const readingTurns = makeFairTurns({ each: mostOwnReadings, all: mostReadings });

type Path = NonNullable<Asked['path']>;

/**
 * Explains the approvals of one answer. The sources of their versions are read some at a time, each once for all of its rules.
 */
export async function makeExplain(
  { deps: { pool }, principal }: Reader,
  rows: readonly ApprovalRow[],
  linesIn = linesOfGates,
): Promise<Explain> {
  const versions = versionsOf(rows);
  const lines = new Map<string, number | null>();
  const turn = makeTurns();
  const wanted = [...versions.values()];
  for (let at = 0; at < wanted.length; at += mostTexts)
    await readingTurns(principal?.id ?? null, async () => {
      for (const { name, version, source } of await sourcesOf(pool, wanted.slice(at, at + mostTexts))) {
        const paths = [...(versions.get(keyOf(name, version))?.paths.values() ?? [])];
        await turn();
        const found = linesIn(source, paths);
        for (const [index, path] of paths.entries())
          lines.set(keyOf(name, version, path), found[index] ?? null);
      }
    });
  return ({ flow, doc }) =>
    doc.asked.map((rule) => toBecause(rule, lines.get(keyOf(flow, doc.flowVersion, rule.path)) ?? null));
}

interface FlowVersion {
  readonly name: string;
  readonly version: number;
  /** Where the rules stand in the source, by the path as JSON. */
  readonly paths: Map<string, Path>;
}

/** The flow versions whose sources hold the rules that ask for these approvals. */
function versionsOf(rows: readonly ApprovalRow[]): Map<string, FlowVersion> {
  const found = new Map<string, FlowVersion>();
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

function toBecause({ source, rule, reason }: Asked, line: number | null): Because {
  const where = line === null ? '' : ` line ${line}`;
  const text = reason === null ? `${rule}${where && `,${where}`}` : `${reason}, ${source}${where}`;
  return { source, rule, read: reason, line, text };
}

/** `asked because amount 60,000 > 50,000, charter line 12`; null: no rule is known. */
export function becauseText(because: readonly Because[]): string | null {
  return because.length === 0 ? null : `asked because ${because.map((rule) => rule.text).join('; and ')}`;
}

export function becauseJson(because: readonly Because[]): ApprovalJson['because'] {
  return because.map(({ line, ...rest }) => ({ ...rest, ...(line === null ? {} : { line }) }));
}
