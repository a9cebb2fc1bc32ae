import { visibleApprovalRow } from '../../service/approvals/look.js';
import { newTrail } from '../../service/caller.js';
import { refuseCaller } from '../../service/may.js';
import { parseBody, type RawBody } from './bodies/body.js';
import { callerOf, type Call, type Reply, type Route } from './call.js';
import { inLanes } from '../../service/lanes.js';
import { problemOf, type Problem } from '../contract/problem.js';
import { visibleRun } from '../../service/runs/visible.js';

// What a route asks of whoever calls, before it looks at what is asked.

/** Why this caller may not ask for this at all; null: it may. Only a public route has callers without a principal. */
export function refuseRoute(
  call: Call,
  { access, useCase }: Pick<Route, 'access' | 'useCase'>,
): Problem | null {
  if (call.principal === null && access === 'public') return null;
  const refused = refuseCaller(callerOf(call), useCase);
  return refused === null ? null : problemOf(refused);
}

/** Why this caller may not ask for this, or does not see what the path names; null: it may. */
export async function refuseAccess(
  call: Call,
  route: Route,
  { params: { id } }: { readonly params: Readonly<Record<string, string>> },
): Promise<Problem | null> {
  return refuseRoute(call, route) ?? (await refuseHidden(call, route, id));
}

/**
 * A kept answer is given only to a caller who may ask for it now. Without the permission, or without sight of the run or the
 * approvals that the path or the body names, the caller is refused as if it asked for the first time.
 */
export async function replyOrRefusal(
  call: Call,
  route: Route,
  arrived: { readonly params: Readonly<Record<string, string>> },
  raw: RawBody,
  kept: Reply,
): Promise<Reply> {
  const denied =
    (await refuseAccess(call, route, arrived)) ?? (await refuseHiddenApproval(call, route, raw, kept));
  if (denied === null) return kept;
  call.replayed = false;
  return denied;
}

async function refuseHidden(call: Call, { path }: Route, id: string | undefined): Promise<Problem | null> {
  if (id === undefined) return null;
  const look = path.startsWith('/v1/runs/')
    ? visibleRun
    : path.startsWith('/v1/approvals/')
      ? visibleApprovalRow
      : null;
  const found = look === null ? null : await look(callerOf(call), id);
  return found?.kind === 'refusal' ? problemOf(found) : null;
}

const lookedAtOnce = 10;

/** The first of the approvals that the body names, and the kept answer tells of, that this caller does not see any more. */
async function refuseHiddenApproval(
  call: Call,
  { approvalsIn, body }: Route,
  raw: RawBody,
  kept: Reply,
): Promise<Problem | null> {
  const read = approvalsIn === undefined ? null : parseBody(raw, body);
  if (approvalsIn === undefined || read?.kind !== 'body') return null;
  // Each leaves a trail of its own: the answer is about none of them.
  const found = await inLanes(approvalsIn(read.body, parseKept(kept)), lookedAtOnce, (id) =>
    visibleApprovalRow({ ...callerOf(call), trail: newTrail() }, id),
  );
  const refused = found.find((result) => result.kind === 'refusal');
  return refused === undefined ? null : problemOf(refused);
}

/** As it was written here, or is to be; null where it is no JSON. */
export function parseKept(kept: Reply): unknown {
  if (kept.kind === 'problem') return kept.extra;
  if (kept.kind !== 'answer' || typeof kept.body !== 'string') return null;
  try {
    return JSON.parse(kept.body);
  } catch {
    return null;
  }
}
