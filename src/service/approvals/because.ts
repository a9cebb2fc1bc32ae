import type { Asked } from '../../engine/state.js';
import type { ApprovalJson } from '../../model/answer-types.js';
import { linesOfGates } from '../../policy/index.js';
import { getFlowVersion } from '../../store/flows.js';
import type { ApprovalRow } from '../../store/approvals.js';
import type { ServiceDeps } from '../deps.js';

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

export type Explain = (row: ApprovalRow) => Promise<readonly Because[]>;

/** For the approvals of one answer: the text of a version is read once for all that the same rules ask for. */
export function explainer({ pool }: Pick<ServiceDeps, 'pool'>): Explain {
  const read = new Map<string, Promise<readonly (number | null)[]>>();
  const linesFor = (flow: string, version: number, paths: readonly Asked['path'][]): typeof none => {
    if (paths.every((path) => path === null)) return none;
    const key = JSON.stringify([flow, version, paths]);
    const found =
      read.get(key) ??
      getFlowVersion(pool, flow, version).then((row) =>
        row === null ? [] : linesOfGates(row.source, paths),
      );
    read.set(key, found);
    return found;
  };
  return async ({ flow, doc }) => {
    const { asked } = doc;
    const lines = await linesFor(
      flow,
      doc.flowVersion,
      asked.map(({ path }) => path),
    );
    return asked.map((one, index) => worded(one, lines[index] ?? null));
  };
}

const none = Promise.resolve<readonly (number | null)[]>([]);

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
