import { seenApproval } from '../../service/approvals/look.js';
import { newTrail } from '../../service/caller.js';
import { refuseCaller } from '../../service/may.js';
import { parseBody, type RawBody } from './body.js';
import { callerOf, type Call, type Reply, type Route } from './call.js';
import { inLanes } from '../../service/lanes.js';
import { problemOf, type Problem } from '../contract/problem.js';
import { visibleRun } from '../../service/runs/body.js';

// What a route asks of whoever calls, before it looks at what is asked.

/** Why this caller may not ask for this at all; null: it may. */
export function notPermitted(call: Call, { useCase }: Route): Problem | null {
  if (call.principal === null) return null;
  const refused = refuseCaller(callerOf(call), useCase);
  return refused === null ? null : problemOf(refused);
}

/** Why this caller may not ask for this, or does not see what the path names; null: it may. */
export async function barred(
  call: Call,
  route: Route,
  { params: { id } }: { readonly params: Readonly<Record<string, string>> },
): Promise<Problem | null> {
  return notPermitted(call, route) ?? (await hidden(call, route, id));
}

/**
 * What the idempotency key has kept is for whoever may ask for it now: without the permission, or the sight of the run or
 * the approvals that the path or the body names, it is refused as if it had not been asked before.
 */
export async function withheld(
  call: Call,
  route: Route,
  arrived: { readonly params: Readonly<Record<string, string>> },
  raw: RawBody,
  kept: Reply,
): Promise<Reply> {
  const denied = (await barred(call, route, arrived)) ?? (await hiddenIn(call, route, raw, kept));
  if (denied === null) return kept;
  call.replayed = false;
  return denied;
}

async function hidden(call: Call, { path }: Route, id: string | undefined): Promise<Problem | null> {
  if (id === undefined) return null;
  const look = path.startsWith('/v1/runs/')
    ? visibleRun
    : path.startsWith('/v1/approvals/')
      ? seenApproval
      : null;
  const found = look === null ? null : await look(callerOf(call), id);
  return found?.kind === 'refusal' ? problemOf(found) : null;
}

const lookedAtOnce = 10;

/** The first of the approvals that the body names, and the kept answer tells of, that this caller does not see any more. */
async function hiddenIn(
  call: Call,
  { approvalsIn, body }: Route,
  raw: RawBody,
  kept: Reply,
): Promise<Problem | null> {
  const read = approvalsIn === undefined ? null : parseBody(raw, body);
  if (approvalsIn === undefined || read?.kind !== 'body') return null;
  // Each leaves a trail of its own: the answer is about none of them.
  const found = await inLanes(approvalsIn(read.body, keptJson(kept)), lookedAtOnce, (id) =>
    seenApproval({ ...callerOf(call), trail: newTrail() }, id),
  );
  const refused = found.find((one) => one.kind === 'refusal');
  return refused === undefined ? null : problemOf(refused);
}

/** As it was written here, or is to be; null where it is no JSON. */
export function keptJson(kept: Reply): unknown {
  if (kept.kind === 'problem') return kept.extra;
  if (kept.kind !== 'answer' || typeof kept.body !== 'string') return null;
  try {
    return JSON.parse(kept.body);
  } catch {
    return null;
  }
}
