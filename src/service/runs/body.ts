import { closedStatuses, endingOf, endingText, type Link } from '../../engine/state.js';
import { links } from '../../engine/index.js';
import type { Floor, Plan } from '../../engine/plan.js';
import type { RunJson, RunStandingJson } from '../../model/contract/answer-types.js';
import { asJson, isObject, type JsonObject } from '../../model/values/json.js';
import type { Principal } from '../../model/principal.js';
import { floorsOf } from '../../schema/kit.js';
import { approvalsOfRun } from '../../store/approvals/approvals.js';
import { cachePlans, requirePlan } from '../../store/flows/cached.js';
import {
  documentOf,
  stateWithoutValues,
  type HeldValue,
  type RunDocument,
} from '../../store/runs/document.js';
import { evidenceOf } from '../../store/runs/evidence.js';
import { getListedRun, getRun, getVisibleRun, type ListedRun } from '../../store/runs/runs.js';
import { noteRun, viewer, type Caller } from '../caller.js';
import type { ServiceDeps } from '../deps.js';
import { notFound, type Refusal } from '../refusal.js';
import { makeFairTurns } from '../seats.js';
import { parseValue, readAll } from '../values.js';

export type VisibleRun = { readonly kind: 'run'; readonly row: ListedRun };

/** The run, if the caller may see it. A refusal, too, is noted as being about the run. */
export async function visibleRun(caller: Caller, id: string): Promise<VisibleRun | Refusal> {
  const row = await getVisibleRun(caller.deps.pool, id, viewer(caller));
  if (row !== null) {
    noteRun(caller, row, true);
    return { kind: 'run', row };
  }
  const hidden = await getListedRun(caller.deps.pool, id);
  if (hidden !== null) noteRun(caller, hidden, false);
  return notFound('run', id);
}

/** How many run documents are read at a time, in one process and for one principal: each may have megabytes. */
const mostDocuments = 8;
const mostOwnDocuments = 2;
const documentTurns = makeFairTurns({ each: mostOwnDocuments, all: mostDocuments });

/** On whose behalf runs are read; `principal` is null for the service itself. */
export interface Reader {
  readonly deps: Pick<ServiceDeps, 'pool'>;
  readonly principal: Principal | null;
}

/**
 * Gives what `read` makes of a run and its document; null: there is no such run. The document is parsed once, and not kept. It is
 * null where the run has taken no step.
 */
export function withDocument<T>(
  { deps: { pool }, principal }: Reader,
  id: string,
  read: (row: ListedRun, document: RunDocument | null) => T | Promise<T>,
): Promise<T | null> {
  return documentTurns(principal?.id ?? null, async () => {
    const found = await getRun(pool, id);
    if (found === null) return null;
    const { doc, ...row } = found;
    return read(row, documentOf({ doc }));
  });
}

const findPlan = cachePlans();

export function planOf({ pool }: ServiceDeps, hash: string): Promise<Plan> {
  return requirePlan(findPlan, pool, hash);
}

export function runJson(row: ListedRun): RunJson {
  const {
    id,
    flow,
    flowVersion,
    planHash,
    environment,
    mode,
    state,
    status,
    version,
    traceId,
    startedBy,
    startedAt,
    updatedAt,
  } = row;
  return {
    id,
    flow,
    flowVersion,
    planHash,
    environment,
    mode,
    temporal: { namespace: row.namespace, workflowId: id },
    state,
    status,
    version,
    traceId,
    startedBy,
    startedAt,
    updatedAt,
    ...(row.problem === null ? {} : { problem: row.problem }),
  };
}

/** A run may live for years: its body lists only the newest approvals and evidence, and every open approval. */
const mostListed = 500;

/** The run as this caller sees it, with the links that the caller may take. */
async function runBody(
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

export async function linksOf(
  deps: ServiceDeps,
  row: ListedRun,
  document: RunDocument | null,
  principal: Principal,
): Promise<Link[]> {
  // A run that was left to another deployment is stuck without a step: its row says so, its document does not.
  if (document === null || row.status === 'stuck' || closedStatuses.includes(row.status)) return [];
  const [plan, floors, input] = await Promise.all([
    planOf(deps, row.planHash),
    floorsIn(deps, row.environment),
    readHeld(deps, document.heldInput),
  ]);
  // Which links are legal is not known then.
  if (input === null) return [];
  const onLinkError = (error: unknown): void => deps.onInternalError(`the links of run \`${row.id}\``, error);
  return links(plan, { ...stateWithoutValues(document), input }, principal, { floors }, onLinkError);
}

/** A value that the run holds: empty where there is none, or it was erased. Null: it cannot be read, which is told to the operator. */
export async function readHeld(deps: ServiceDeps, held: HeldValue | null): Promise<JsonObject | null> {
  const ref = held?.payload ?? null;
  if (ref === null) return {};
  const read = await readAll(deps, [ref]);
  if (read.isDamaged(ref) || read.unopened(ref) !== null) return null;
  const text = read.text(ref);
  const value = text === null ? {} : await parseValue(text);
  return isObject(value) ? value : null;
}

export async function floorsIn({ policies }: ServiceDeps, environment: string): Promise<Floor[] | null> {
  const policySet = await policies.policySet();
  return policySet === null ? null : floorsOf(policySet, environment);
}

/** The run as it stands now. The caller must be known to see it. */
export async function readCurrentBody(
  caller: Caller,
  id: string,
): Promise<{ readonly row: ListedRun; readonly body: RunStandingJson }> {
  const found = await withDocument(caller, id, async (row, document) => ({
    row,
    body: await runBody(caller.deps, row, document, caller.principal),
  }));
  if (found === null) throw new Error(`run ${id} is gone from the store`);
  noteRun(caller, found.row, true);
  return found;
}
