import assert from 'node:assert/strict';
import { decideOn, insist, type Parked, type People, type Reply } from '../../drill/caller.js';
import { audit, until } from '../../testing/flows.js';
import type { Stack } from '../../testing/servers/stack.js';
import type { EventKind } from './world.js';

// One trace of the walk, done to the real service: every event by its own way, and what became of it.

export interface Happened {
  readonly run: string;
  readonly status: string;
  readonly approvals: readonly string[];
  /** For each event: the answer in the engine's words. */
  readonly said: readonly string[];
  /** Of the run's own records. */
  readonly decided: readonly string[];
  readonly executed: number;
  /** The gate's time was up before the trace had come that far: it says nothing. */
  readonly overtaken: boolean;
}

export interface Actors {
  readonly stack: Stack;
  readonly people: People;
  /** Resolves when the worker is about to be killed, with the promise that it is up again. */
  readonly crash: () => Promise<{ readonly up: Promise<void> }>;
}

interface Going {
  readonly run: string;
  /** Newest last; `fired`: how often the trace has let its time run out. */
  readonly opened: (Parked & { fired: number })[];
  keys: number;
  last: (() => Promise<string>) | null;
  rising: Promise<void>;
}

/** How long a stage of the gate lasts, in seconds: the next where a busy machine was too slow for one. */
export const stages = [5, 12, 40] as const;
const longFlow = 'stage-86400';

export const flows = (): string => `
version: 1
workflows:
${[...stages, 86_400]
  .map(
    (seconds) => `  stage-${seconds}:
    owner: test
    initialState: open
    states:
      open:
        transitions:
          pay:
            target: paid
            tool: erp.payment.draft
            gate:
              roles: [finance.controller]
              quorum: { count: 2 }
              timeout: { after: ${seconds}s, action: escalate, to: [finance.director] }
      paid: { terminal: true }`,
  )
  .join('\n')}
`;

export async function happen(
  actors: Actors,
  events: readonly EventKind[],
  stage: number | undefined,
): Promise<Happened> {
  const { people, stack } = actors;
  const timed = events.some((one) => one === 'deadline' || one === 'escalate');
  const flow = timed ? `stage-${stage}` : longFlow;
  const { reply } = await insist(() => people.agent.post(`/v1/flows/${flow}/runs`, { input: {} }));
  assert.ok(reply.status === 201 || reply.status === 202, JSON.stringify(reply));
  const run = (reply.body as { run: { id: string } }).run.id;
  const going: Going = { run, opened: [], keys: 0, last: null, rising: Promise.resolve() };
  const said: string[] = [];
  let overtaken = false;
  for (const event of events) {
    said.push(await one(actors, going, event));
    if (timed) overtaken ||= await isOvertaken(actors, going);
    if (overtaken) break;
  }
  await going.rising;
  const { status, approvals } = await settled(actors, run);
  if (timed) overtaken ||= await isOvertaken(actors, going);
  const records = await audit(stack, run);
  const of = (type: string) => records.filter((each) => each.type === type);
  const names = [people.controllers[0].id, people.controllers[1].id];
  const decided = of('approval.decided').map(
    (each) => `${['A', 'B'][names.indexOf(each.actor.id)]} ${String(each.data['decision'])}`,
  );
  return { run, status, approvals, said, decided, executed: of('executor.succeeded').length, overtaken };
}

async function statusOf({ stack }: Actors, approval: string): Promise<string> {
  const { body } = await stack.fetchAs('admin', 'GET', `/v1/approvals/${approval}`);
  return (body as { status: string }).status;
}

/** A timer fired before the trace asked for it. */
async function isOvertaken(actors: Actors, { opened }: Going): Promise<boolean> {
  for (const { approval, fired } of opened.slice(-2)) {
    const status = await statusOf(actors, approval);
    if ((status === 'escalated' && fired < 1) || (status === 'expired' && fired < 2)) return true;
  }
  return false;
}

async function one(actors: Actors, going: Going, event: EventKind): Promise<string> {
  const { people } = actors;
  const [a, b] = people.controllers;
  const send = (post: (key: string) => Promise<Reply>): Promise<string> => {
    going.keys += 1;
    const key = `${going.run}-${going.keys}`;
    going.last = async () => wordOf(actors, going, (await insist(() => post(key))).reply);
    return going.last();
  };
  const open = going.opened.at(-1);
  const target: Parked = open ?? {
    ...{ flow: '', run: going.run, approval: 'apr_none', digest: 'sha256:of-nothing', expiresAt: 0 },
  };
  switch (event) {
    case 'submit':
      return send((key) => pay(actors, going, key));
    case 'approveA':
      return send((key) => decideOn(a, target, 'approve', key));
    case 'approveB':
      return send((key) => decideOn(b, target, 'approve', key));
    case 'deny':
      return send((key) => decideOn(b, target, 'deny', key));
    case 'cancel':
      return send((key) => cancel(actors, going, key));
    case 'duplicate':
      return going.last === null ? 'nothing' : going.last();
    case 'deadline':
    case 'escalate': {
      const want = event === 'deadline' ? 'expired' : 'escalated';
      // An approval whose time passed both marks is judged by `isOvertaken`.
      const isSo = async (): Promise<boolean> =>
        [want, 'expired'].includes(await statusOf(actors, target.approval));
      await until(`${target.approval} to be ${want}`, isSo, 2_000 * Math.max(...stages));
      if (open !== undefined) open.fired += 1;
      return 'done';
    }
    case 'crash':
      // It dies while the next event comes.
      going.rising = (await actors.crash()).up;
      return 'done';
    case 'continueAsNew':
      return 'done';
  }
}

async function cancel({ people, stack }: Actors, { run }: Going, key: string): Promise<Reply> {
  const reply = await people.operator.post(`/v1/runs/${run}/cancel`, { reason: 'a trace' }, key);
  if (reply.status === 202)
    await until(`${run} to be cancelled`, async () => {
      const { body } = await stack.fetchAs('admin', 'GET', `/v1/runs/${run}`);
      return (body as { run: { status: string } }).run.status === 'cancelled';
    });
  return reply;
}

/** A submit that no worker has taken in time is durable; the same once more joins what it opened. */
async function pay({ people }: Actors, going: Going, key: string): Promise<Reply> {
  const body = { arguments: { vendor: 'ACME', amount: 60_000 } };
  const path = `/v1/runs/${going.run}/transitions/pay`;
  for (let tries = 0; ; tries += 1) {
    const reply = await people.agent.post(path, body, tries === 0 ? key : `${key}-${tries}`);
    const { result } = reply.body as {
      result?: { status: string; approval?: { id: string; digest: string } };
    };
    if (result?.approval !== undefined) note(going, result.approval);
    if (reply.status !== 202 || result?.status !== 'executing') return reply;
    await going.rising;
  }
}

function note(going: Going, { id, digest }: { readonly id: string; readonly digest: string }): void {
  if (going.opened.some((one) => one.approval === id)) return;
  going.opened.push({ flow: '', run: going.run, approval: id, digest, expiresAt: 0, fired: 0 });
}

/** A reply of the API in the words of the run's answers. */
async function wordOf({ stack }: Actors, going: Going, { status, code, body }: Reply): Promise<string> {
  if (code !== null) return code;
  const { decision } = body as { decision?: { id: string } };
  if (status !== 202 || decision === undefined)
    return status === 200 || status === 202 ? 'taken' : `${status}`;
  await going.rising;
  return until(`decision ${decision.id} to be settled`, async () => {
    const found = await stack.fetchAs('admin', 'GET', `/v1/decisions/${decision.id}`);
    const { status: now, code: why } = found.body as { status: string; code?: string | null };
    return now === 'applied' ? 'taken' : now === 'refused' ? (why ?? 'refused') : null;
  });
}

/** Nothing is under way any more: two looks in a row see the same, with nothing approved that has not run. */
async function settled({ stack }: Actors, run: string): Promise<{ status: string; approvals: string[] }> {
  let before = '';
  return until(`${run} to settle`, async () => {
    const { body } = await stack.fetchAs('admin', 'GET', `/v1/runs/${run}`);
    const seen = body as { run: { status: string; updatedAt: string }; approvals: { status: string }[] };
    const approvals = seen.approvals.map((each) => each.status);
    const { status, updatedAt } = seen.run;
    const now = JSON.stringify([status, updatedAt, approvals]);
    const isSame = now === before;
    before = now;
    return !isSame || approvals.includes('approved') ? null : { status, approvals };
  });
}
