import { isDeepStrictEqual } from 'node:util';
import { canonical } from '../model/canonical.js';
import type { AttestedMessage } from '../model/message.js';
import type { Fact } from '../model/records.js';
import type { Plan } from '../engine/plan.js';
import { decide, initialRun } from '../engine/index.js';
import type { Decision, Effect, Event, Kit, RunState } from '../engine/state.js';
import { verifyAttested, type Standing, type Verified } from '../auth/index.js';
import { withTransaction, type Tx } from '../db/index.js';
import { listAttempts, type AttemptRow } from '../store/actions.js';
import { getStart } from '../store/outbox.js';
import { getStep, lockRun, type RunRow } from '../store/runs.js';
import type { ActivityDeps } from './deps.js';
import { makeKit, sha256 } from './kit.js';
import { persist, type StoredStep } from './persist.js';
import type { Arrival, StepInput, StepResult, Taken } from './types.js';

/**
 * The run's policy check, a local activity: verify what arrived, decide, record, project, in one
 * transaction. It may run more than once for one step (a worker died before its task was complete),
 * so its stored answer is given again: a later engine never changes what was decided.
 */
export async function step(deps: ActivityDeps, input: StepInput): Promise<StepResult> {
  const refusal = await withTransaction(deps.pool, (tx) => stepIn(deps, tx, input));
  if (refusal.status !== 'refused') return refusal;
  const time = new Date().toISOString();
  const key = `${input.run}:start.refused:${sha256(JSON.stringify(input.arrivals)).slice(7, 39)}`;
  await deps.serviceChain.append([
    {
      key,
      type: 'message.refused',
      time,
      actor: { kind: 'anonymous', id: 'unknown' },
      data: { reason: refusal.reason, name: 'start' },
      about: input.run,
    },
  ]);
  return refusal;
}

async function stepIn(deps: ActivityDeps, tx: Tx, input: StepInput): Promise<StepResult> {
  // Asked together, and answered in order: what follows the run is read behind the lock on it.
  const [locked, policies, ...arrived] = await Promise.allSettled([
    lockRun(tx, input.run),
    deps.policySet(tx),
    ...input.arrivals.map((arrival) => arrive(deps, tx, input.run, arrival)),
  ]);
  const row = valueOf(locked);
  if (row === null) return { status: 'refused', reason: 'wrong_run' };
  const fingerprints = input.arrivals.map((one) => sha256(JSON.stringify(one)));
  // A step is stored with the rev that it brings its run to.
  const stored = row.rev < input.rev ? null : await getStep(tx, input.run, input.rev);
  if (stored !== null) return again(stored.eventKey, stored.result, fingerprints);
  assertSameHistory(row, input);
  const plan = await deps.plan(tx, row.planHash);
  if (plan === null) throw new Error(`plan ${row.planHash} of run ${row.id} is not in the store`);
  const policySet = valueOf(policies);
  const kit = makeKit(policySet, row.environment, await deps.people(tx, row));
  const events = arrived.map((one) => valueOf(one)(new Date().toISOString()));
  const first = input.state ?? firstState(plan, row, events[0]);
  if (typeof first === 'string') return { status: 'refused', reason: first };
  const decided = decideAll(plan, first, events, kit, input.rev);
  return persist(deps, tx, {
    row,
    plan,
    policySet,
    before: input.state,
    ...decided,
    rev: input.rev,
    eventKey: 'step',
    fingerprints,
    taken: events.map((one) => one.taken),
    decided: events.flatMap((one) =>
      one.event?.kind === 'message' && one.event.message.body.kind === 'decide' ? [one.event.message.id] : [],
    ),
    time: new Date().toISOString(),
  });
}

function valueOf<T>(settled: PromiseSettledResult<T>): T {
  if (settled.status === 'rejected') throw settled.reason;
  return settled.value;
}

/** This step has run: the same answer, for those arrivals that it had. */
function again(eventKey: string, text: string, fingerprints: readonly string[]): StepResult {
  if (eventKey !== 'step') return { status: 'behind' };
  const stored = JSON.parse(text) as StoredStep;
  const left = [...stored.fingerprints];
  const taken = fingerprints.map((one): Taken => {
    const at = left.indexOf(one);
    if (at === -1) return { kind: 'again' };
    left[at] = '';
    return stored.result.taken[at] ?? { kind: 'none' };
  });
  return { ...stored.result, taken };
}

/** The store and Temporal's history are two memories of one run: where they differ, nothing goes on. */
function assertSameHistory(row: RunRow, input: StepInput): void {
  if (row.rev !== input.rev - 1) {
    throw new Error(
      `run ${row.id}: the store has taken ${row.rev} steps, its workflow ${input.rev - 1}: was one of them restored or reset?`,
    );
  }
  if (input.state !== null && row.doc !== canonical(input.state)) {
    throw new Error(`run ${row.id}: the workflow's state at step ${row.rev} is not the one in the store`);
  }
}

/** The run's first state, when its start is attested, matches its row and was not withdrawn. */
function firstState(plan: Plan, row: RunRow, start: Prepared | undefined): RunState | string {
  if (start?.event?.kind !== 'message' || start.event.message.body.kind !== 'start')
    return start?.taken.kind === 'refused' ? start.taken.reason : 'unsigned';
  const { body } = start.event.message;
  if (row.status === 'failed') return 'withdrawn';
  if (
    body.planHash !== row.planHash ||
    body.flow !== row.flow ||
    body.environment !== row.environment ||
    body.mode !== row.mode
  )
    return 'wrong_run';
  return initialRun(plan, row.planHash, start.event.message) ?? 'unsigned';
}

interface Prepared {
  readonly event: Event | null;
  readonly taken: Taken;
}

/** What there is to know of an arrival; its time is that of the decision, which comes behind the lock on the run. */
type Arrived = (time: string) => Prepared;

async function arrive(deps: ActivityDeps, tx: Tx, run: string, arrival: Arrival): Promise<Arrived> {
  switch (arrival.kind) {
    case 'start':
      return message(deps, tx, run, 'start', arrival.raw);
    case 'message':
      return message(deps, tx, run, arrival.name, arrival.raw);
    case 'deadline':
      return (time) => ({
        event: { kind: 'deadline', time, approval: arrival.approval, at: arrival.at },
        taken: { kind: 'none' },
      });
    case 'timeout':
      return (time) => ({ event: { kind: 'timeout', time }, taken: { kind: 'none' } });
    case 'abandoned': {
      const attempts = await listAttempts(tx, arrival.action);
      return (time) => ({ event: abandoned(attempts, arrival.action, time), taken: { kind: 'none' } });
    }
  }
}

/**
 * A start stands in Temporal as it was first signed, however long no worker takes it. So it is taken after its key was
 * retired too, where it is to the letter what the store kept with the run.
 */
async function verify(
  deps: ActivityDeps,
  tx: Tx,
  run: string,
  name: string,
  raw: unknown,
): Promise<Verified> {
  const publicKey = (keyId: string): Promise<Standing> => deps.publicKey(tx, keyId);
  const verified = await verifyAttested(raw, { run, publicKey });
  if (name !== 'start' || verified.status === 'ok' || verified.reason !== 'retired_key') return verified;
  const { message } = raw as AttestedMessage;
  const isKept = isDeepStrictEqual(await getStart(tx, run, message.id), raw);
  return isKept ? { status: 'ok', message } : verified;
}

async function message(
  deps: ActivityDeps,
  tx: Tx,
  run: string,
  name: string,
  raw: unknown,
): Promise<Arrived> {
  const verified = await verify(deps, tx, run, name, raw);
  if (verified.status === 'ok' && verified.message.body.kind === name) {
    const { message } = verified;
    return (time) => ({
      event: { kind: 'message', time, message },
      taken: { kind: 'message', id: message.id },
    });
  }
  const reason = verified.status === 'refused' ? verified.reason : 'bad_signature';
  const digest = sha256(JSON.stringify(raw) ?? '');
  return (time) => ({
    event: { kind: 'refused_message', time, reason, name: name.slice(0, 40), digest },
    taken: { kind: 'refused', reason },
  });
}

/** The wait between two attempts was cancelled. An attempt without an outcome stays unknown. */
function abandoned(attempts: readonly AttemptRow[], action: string, time: string): Event {
  const last = attempts.at(-1);
  const attempt = last?.attempt ?? 0;
  const result =
    last !== undefined && last.outcome === null
      ? ({ status: 'unknown', message: 'the attempt was lost and its outcome is unknown', attempt } as const)
      : ({
          status: 'failed',
          errorClass: 'permanent',
          message: 'cancelled before the next attempt',
          attempt,
        } as const);
  return { kind: 'outcome', time, action, result };
}

interface Decided {
  readonly after: RunState;
  readonly effects: readonly Effect[];
  readonly facts: readonly Fact[];
  readonly actions: Decision['actions'];
}

function decideAll(plan: Plan, first: RunState, events: readonly Prepared[], kit: Kit, rev: number): Decided {
  let after = first;
  const effects: Effect[] = [];
  const facts: Fact[] = [];
  const actions: Decision['actions'][number][] = [];
  for (const [index, { event }] of events.entries()) {
    if (event === null) continue;
    const decision = decide(plan, after, event, kit, `s${rev}.${index}`);
    facts.push(...decision.trace);
    after = decision.state;
    effects.push(...decision.effects);
    actions.push(...decision.actions);
  }
  return { after, effects, facts, actions };
}
