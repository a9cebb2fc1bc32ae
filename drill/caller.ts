import { setTimeout as sleep } from 'node:timers/promises';
import { z } from 'zod';
import type { Stack } from '../testing/servers/stack.js';

// Sends real HTTP requests as people and agents do, and repeats a request as an honest client does when no answer comes.

export interface Reply {
  /** 0: no answer came. */
  readonly status: number;
  /** The error code of a refusal; null for any other answer. */
  readonly code: string | null;
  readonly body: unknown;
}

export interface Person {
  readonly id: string;
  post(path: string, body: object, idempotencyKey?: string): Promise<Reply>;
}

const problemBody = z.object({ code: z.string() });
const patienceMs = 20_000;

function makePerson(url: string, id: string, key: string): Person {
  return {
    id,
    async post(path, body, idempotencyKey) {
      const headers: Record<string, string> = {
        authorization: `Bearer ${key}`,
        'content-type': 'application/json',
        ...(idempotencyKey === undefined ? {} : { 'idempotency-key': idempotencyKey }),
      };
      try {
        const signal = AbortSignal.timeout(patienceMs);
        const init = { method: 'POST', headers, body: JSON.stringify(body), signal };
        const response = await fetch(`${url}${path}`, init);
        const answer: unknown = await response.json();
        const problem = problemBody.safeParse(answer);
        const code = response.status >= 400 && problem.success ? problem.data.code : null;
        return { status: response.status, code, body: answer };
      } catch (error) {
        return { status: 0, code: null, body: String(error) };
      }
    },
  };
}

export const isFinal = ({ status, code }: Reply): boolean =>
  status > 0 && status < 500 && status !== 429 && code !== 'IDEMPOTENCY_IN_PROGRESS';

/** 202 counts too: the request is stored, and waits for a decision or for the answer of its run. */
export const isTaken = ({ status }: Reply): boolean => status === 200 || status === 202;

export interface InsistResult {
  readonly reply: Reply;
  /** The first reply: while a process is down, often a refusal or no answer at all. */
  readonly first: Reply;
  readonly tries: number;
  /** When the last answer came, by `performance.now()`. */
  readonly at: number;
  /** When the request was first sent and when the last answer came, by `Date.now()`. */
  readonly sentAt: number;
  readonly answeredAt: number;
}

/** Repeats the same request, under its Idempotency-Key if it has one, until an answer is final or the time is over. */
export async function insist(send: () => Promise<Reply>, limitMs = 120_000): Promise<InsistResult> {
  const end = Date.now() + limitMs;
  const sentAt = Date.now();
  let first: Reply | null = null;
  for (let tries = 1; ; tries += 1) {
    const reply = await send();
    first ??= reply;
    const answeredAt = Date.now();
    if (isFinal(reply) || answeredAt > end)
      return { reply, first, tries, at: performance.now(), sentAt, answeredAt };
    await sleep(100);
  }
}

const keyBody = z.object({ key: z.string() });

export interface People {
  readonly agent: Person;
  readonly operator: Person;
  /** Humans who hold the gate's role, each with a key of its own. */
  readonly controllers: readonly [Person, Person, Person];
  /** Holds the other role, `finance.cfo`. */
  readonly cfo: Person;
  /** Holds `finance.clerk`, a role that decides in the queue `desk` while the policies name it there. */
  readonly clerk: Person;
  /** Another agent, which may ask in the first agent's runs. */
  readonly otherAgent: Person;
}

export async function makePeople(stack: Stack): Promise<People> {
  const developmentPerson = (name: string): Person => makePerson(stack.url, name, stack.keys[name] ?? '');
  const operator = developmentPerson('admin');
  const addPerson = async (id: string, fields: object): Promise<Person> => {
    const made = await operator.post('/v1/keys', { id, ...fields });
    if (made.status !== 201) throw new Error(`no key for \`${id}\`: ${JSON.stringify(made)}`);
    return makePerson(stack.url, id, keyBody.parse(made.body).key);
  };
  const controller = (id: string): Promise<Person> =>
    addPerson(id, { kind: 'human', roles: ['finance.controller'] });
  const ids = ['drill.controller.a', 'drill.controller.b', 'drill.controller.c'] as const;
  const [a, b, c] = [await controller(ids[0]), await controller(ids[1]), await controller(ids[2])];
  const cfo = await addPerson('drill.cfo', { kind: 'human', roles: ['finance.cfo'] });
  const clerk = await addPerson('drill.clerk', { kind: 'human', roles: ['finance.clerk'] });
  const agentFields = { kind: 'agent', permissions: ['run.start', 'run.read'] };
  const otherAgent = await addPerson('drill.other.agent', agentFields);
  return { agent: developmentPerson('agent'), operator, controllers: [a, b, c], cfo, clerk, otherAgent };
}

const started = z.object({ run: z.object({ id: z.string() }) });
const pending = z.object({
  result: z.object({
    status: z.literal('pending'),
    approval: z.object({ id: z.string(), digest: z.string(), expiresAt: z.string() }),
  }),
});

export interface Parked {
  readonly flow: string;
  readonly run: string;
  readonly approval: string;
  readonly digest: string;
  readonly expiresAt: number;
}

const parkingMs = 120_000;

/** The payment that a drill submits unless it gives another. */
export const payment = { arguments: { vendor: 'ACME', amount: 60_000 } };

/** Starts a run and submits a payment in one request; resolves when the payment waits at its gate. */
export async function park(
  agent: Person,
  flow: string,
  transition: string,
  body: typeof payment = payment,
): Promise<Parked> {
  let sent = await agent.post(`/v1/flows/${flow}/runs`, { submit: { transition, ...body } });
  const run = started.safeParse(sent.body);
  if (!run.success) throw new Error(`\`${flow}\` did not start: ${JSON.stringify(sent)}`);
  const { id } = run.data.run;
  const end = Date.now() + parkingMs;
  for (;;) {
    const parsed = pending.safeParse(sent.body);
    if (parsed.success) {
      const { approval } = parsed.data.result;
      const { digest } = approval;
      return { flow, run: id, approval: approval.id, digest, expiresAt: Date.parse(approval.expiresAt) };
    }
    // A busy machine may answer 202 before the payment is parked: the submit is durable, and later requests queue behind it.
    if (sent.status !== 202 || Date.now() > end)
      throw new Error(`\`${flow}\` did not park: ${JSON.stringify(sent)}`);
    await sleep(100);
    // The same submit, sent again, attaches to the approval that the first one has opened.
    sent = await agent.post(`/v1/runs/${id}/transitions/${transition}`, body);
  }
}

export function decideOn(
  by: Person,
  { approval, digest }: Parked,
  decision: 'approve' | 'deny',
  idempotencyKey?: string,
): Promise<Reply> {
  return by.post(`/v1/approvals/${approval}/decision`, { decision, digest }, idempotencyKey);
}
