import { endingOf, endingText } from '../../engine/state.js';
import type { RunJson, RunStandingJson } from '../../model/contract/answer-types.js';
import { asJson } from '../../model/values/json.js';
import type { Principal } from '../../model/principal.js';
import { approvalsOfRun } from '../../store/approvals/approvals.js';
import type { RunDocument } from '../../store/runs/document.js';
import { evidenceOf } from '../../store/runs/evidence.js';
import type { ListedRun } from '../../store/runs/runs.js';
import { noteRun, type Caller } from '../caller.js';
import type { ServiceDeps } from '../deps.js';
import { withDocument } from './document.js';
import { linksOf } from './links.js';

// A run as answers show it.

/** What an answer has of a run's row under the same names; whatever else the row has is not shown. */
const shown = [
  'id',
  'flow',
  'flowVersion',
  'planHash',
  'environment',
  'mode',
  'state',
  'status',
  'version',
  'traceId',
  'startedBy',
  'startedAt',
  'updatedAt',
] as const satisfies readonly (keyof ListedRun & keyof RunJson)[];

export function runJson(row: ListedRun): RunJson {
  const { id, namespace, problem } = row;
  return {
    ...pick(row, shown),
    temporal: { namespace, workflowId: id },
    ...(problem === null ? {} : { problem }),
  };
}

function pick<T extends object, Name extends keyof T>(from: T, names: readonly Name[]): Pick<T, Name> {
  return Object.fromEntries(names.map((name) => [name, from[name]])) as Pick<T, Name>;
}

/** A run may live for years: its body lists only the newest approvals and evidence, and every open approval. */
const mostListed = 500;

/** The run as this caller sees it, with the links that the caller may take. */
async function standingJson(
  deps: ServiceDeps,
  row: ListedRun,
  document: RunDocument | null,
  principal: Principal,
): Promise<RunStandingJson> {
  const [approvals, evidence, legal] = await Promise.all([
    approvalsOfRun(deps.pool, row.id, mostListed),
    evidenceOf(deps.pool, row.id, mostListed),
    linksOf(deps, row, document, principal),
  ]);
  return {
    run: { ...runJson(row), ...endingFields(document) },
    context: document?.context ?? {},
    evidence: evidence.map(({ kind, id, at }) => ({ kind, id, at })),
    approvals: approvals.map(({ id, transition, status, roles }) => ({
      id,
      transition,
      status,
      roles: [...roles],
      href: `/v1/approvals/${encodeURIComponent(id)}`,
    })),
    links: legal.map(asJson),
  };
}

/** `ending`: a cancel, or a time-out, that waits for the outcome of what is under way. */
function endingFields(document: RunDocument | null): Pick<RunJson, 'ending'> {
  const ending = document === null ? null : endingOf(document);
  if (ending === null) return {};
  const { why, by, waitsFor } = ending;
  const who = by === null ? {} : { by: { id: by.id, kind: by.kind } };
  return { ending: { why, ...who, waitsFor, message: endingText(ending) } };
}

/** The run as it stands now. The caller must be known to see it. */
export async function readStanding(
  caller: Caller,
  id: string,
): Promise<{ readonly row: ListedRun; readonly body: RunStandingJson }> {
  const found = await withDocument(caller, id, async (row, document) => ({
    row,
    body: await standingJson(caller.deps, row, document, caller.principal),
  }));
  if (found === null) throw new Error(`run ${id} is gone from the store`);
  noteRun(caller, found.row, true);
  return found;
}
