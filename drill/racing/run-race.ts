import { setTimeout as sleep } from 'node:timers/promises';
import { z } from 'zod';
import { until } from '../../testing/until.js';
import type { Stack } from '../../testing/servers/stack.js';
import {
  decideOn,
  insist,
  park,
  type Parked,
  type People,
  type Person,
  type InsistResult,
} from '../caller.js';
import type { Target } from '../target.js';

// Races for a whole run: its cancel against the retry of an effect, and many decisions beside many submits.

export interface RunRaceContext {
  readonly stack: Stack;
  readonly people: People;
  readonly target: Target;
}

/** A request in a race, and its final answer. */
export interface RaceRequest {
  readonly by: string;
  readonly act: 'approve' | 'submit' | 'retry' | 'cancel';
  /** The approval that a decision is about. */
  readonly approval?: string;
  /** The Idempotency-Key, which other requests may share. */
  readonly key?: string;
  /** Whom the action pays that this request is about. */
  readonly vendor: string;
  readonly told: InsistResult;
}

export interface RunRan {
  readonly kind: RunRaceKind;
  readonly run: string;
  /** The gates that are decided in the race. */
  readonly gates: readonly { readonly approval: string; readonly vendor: string }[];
  readonly asked: readonly RaceRequest[];
}

export interface RunRaceKind {
  readonly name: string;
  readonly judgedAs: 'repetition' | 'crowd';
  race(context: RunRaceContext, random: () => number): Promise<Omit<RunRan, 'kind'>>;
}

export const runRaceKinds: readonly RunRaceKind[] = [
  {
    name: 'retry of an unknown outcome, twice, against cancel',
    judgedAs: 'repetition',
    race: (context, random) => repeatAgainstCancel(context, random, false),
  },
  {
    name: 'retry of an unknown outcome, to be approved anew, twice, against cancel',
    judgedAs: 'repetition',
    race: (context, random) => repeatAgainstCancel(context, random, true),
  },
  {
    name: '24 approvals of one run beside 30 submits',
    judgedAs: 'crowd',
    race: decideManyBesideSubmits,
  },
];

export async function runRace(
  kind: RunRaceKind,
  context: RunRaceContext,
  random: () => number,
): Promise<RunRan> {
  return { kind, ...(await kind.race(context, random)) };
}

let vendors = 0;

function newVendor(): string {
  vendors += 1;
  return `vendor-${vendors}`;
}

const startedBody = z.object({ run: z.object({ id: z.string() }) });
const approvalsBody = z.object({ approvals: z.array(z.object({ id: z.string(), status: z.string() })) });
const approvalBody = z.object({ digest: z.string() });

async function start(agent: Person, flow: string): Promise<string> {
  const { reply } = await insist(() => agent.post(`/v1/flows/${flow}/runs`, {}));
  const parsed = startedBody.safeParse(reply.body);
  if (!parsed.success) throw new Error(`\`${flow}\` did not start: ${JSON.stringify(reply)}`);
  return parsed.data.run.id;
}

/** Requests of a race are sent within this time of each other, so that any of them may be first. */
const spreadMs = 60;
/** How long a retry takes with its effect on a busy machine: without a gate, and with an approval before it. */
const repetitionMs = { free: 1_200, gated: 3_000 };

async function repeatAgainstCancel(
  { stack, people, target }: RunRaceContext,
  random: () => number,
  gated: boolean,
): Promise<Omit<RunRan, 'kind'>> {
  const vendor = newVendor();
  target.breakOff(vendor);
  const [first, second] = people.controllers;
  const { operator } = people;
  const run = gated
    ? await approveOnce(people.agent, first, vendor)
    : await askOnce(people.agent, 'wire', vendor);
  await until(
    `the unknown outcome of ${run}`,
    async () => {
      const { body } = await stack.fetchAs('admin', 'GET', `/v1/runs/${run}`);
      return body.run.status === 'stuck' ? true : null;
    },
    60_000,
  );
  const asked: RaceRequest[] = [];
  const note = (
    by: Person,
    act: RaceRequest['act'],
    told: InsistResult,
    more: Pick<RaceRequest, 'approval' | 'key'> = {},
  ): void => void asked.push({ by: by.id, act, vendor, told, ...more });
  const path = `/v1/runs/${run}`;
  const retry = async (key?: string): Promise<void> => {
    await sleep(random() * spreadMs);
    const told = await insist(() => operator.post(`${path}/retry`, { reason: 'a race' }, key));
    note(operator, 'retry', told, key === undefined ? {} : { key });
    const body = approvalsBody.safeParse(told.reply.body);
    const open = body.success ? body.data.approvals.find(({ status }) => status === 'open') : undefined;
    if (open === undefined) return;
    const { body: shown } = await stack.fetchAs('admin', 'GET', `/v1/approvals/${open.id}`);
    const { digest } = approvalBody.parse(shown);
    const parked = { flow: 'wire_gated', run, approval: open.id, digest, expiresAt: 0 };
    const decided = await insist(() => decideOn(second, parked, 'approve', open.id));
    note(second, 'approve', decided, { approval: open.id, key: open.id });
  };
  const cancel = async (): Promise<void> => {
    // Half of the cancels are sent beside the retries, half at any moment of what the retries lead to.
    const longest = gated ? repetitionMs.gated : repetitionMs.free;
    await sleep(random() * (random() < 0.5 ? spreadMs : longest));
    note(operator, 'cancel', await insist(() => operator.post(`${path}/cancel`, { reason: 'a race' })));
  };
  await Promise.all([retry(`${run}-retry`), retry(`${run}-retry`), retry(), cancel()]);
  return { run, gates: [], asked };
}

async function askOnce(agent: Person, flow: string, vendor: string): Promise<string> {
  const run = await start(agent, flow);
  const body = { arguments: { vendor, amount: 60_000 } };
  // Sent only once: an answer with an unknown outcome must not be repeated.
  await agent.post(`/v1/runs/${run}/transitions/pay`, body);
  return run;
}

async function approveOnce(agent: Person, by: Person, vendor: string): Promise<string> {
  const parked = await park(agent, 'wire_gated', 'pay', { arguments: { vendor, amount: 60_000 } });
  const { reply } = await insist(() => decideOn(by, parked, 'approve', parked.approval));
  if (reply.status >= 300) throw new Error(`the first approval was told ${JSON.stringify(reply)}`);
  return parked.run;
}

const decisions = 24;
const submits = 30;
const draft = 'erp.payment.draft';
const pendingBody = z.object({
  result: z.object({ status: z.string(), approval: z.object({ id: z.string(), digest: z.string() }) }),
});

async function decideManyBesideSubmits(
  { people }: RunRaceContext,
  random: () => number,
): Promise<Omit<RunRan, 'kind'>> {
  const { agent, controllers } = people;
  const run = await start(agent, 'payment');
  const submit = (vendor: string, amount: number): Promise<InsistResult> => {
    const body = { arguments: { vendor, amount } };
    return insist(() => agent.post(`/v1/runs/${run}/transitions/${draft}`, body, `${run}-${vendor}`));
  };
  const gates: (Parked & { vendor: string })[] = [];
  for (let index = 0; index < decisions; index += 1) {
    const vendor = newVendor();
    const { reply } = await submit(vendor, 60_000);
    const parsed = pendingBody.safeParse(reply.body);
    if (!parsed.success) throw new Error(`\`${run}\` did not park: ${JSON.stringify(reply)}`);
    const { id: approval, digest } = parsed.data.result.approval;
    gates.push({ flow: 'payment', run, approval, digest, expiresAt: 0, vendor });
  }
  const asked: RaceRequest[] = [];
  const decide = async (gate: (typeof gates)[number], by: Person): Promise<void> => {
    await sleep(random() * spreadMs);
    const told = await insist(() => decideOn(by, gate, 'approve', gate.approval));
    asked.push({ by: by.id, act: 'approve', approval: gate.approval, vendor: gate.vendor, told });
  };
  const ask = async (amount: number): Promise<void> => {
    await sleep(random() * spreadMs);
    const vendor = newVendor();
    asked.push({ by: agent.id, act: 'submit', vendor, told: await submit(vendor, amount) });
  };
  await Promise.all([
    ...gates.map((gate, index) => decide(gate, controllers[index % controllers.length] ?? controllers[0])),
    // Every second submit is executed without a gate.
    ...Array.from({ length: submits }, (_, index) => ask(index % 2 === 0 ? 10 : 60_000)),
  ]);
  return { run, gates, asked };
}
