import { setTimeout as sleep } from 'node:timers/promises';
import { z } from 'zod';
import type { Stack } from '../testing/servers/stack.js';

// Real HTTP as real people and agents send it, and what an honest client does when no answer comes.

export interface Reply {
  /** 0: no answer came. */
  readonly status: number;
  /** Of a refusal. */
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

/** 202: it is stored, and waits for a decision or its answer. */
export const isTaken = ({ status }: Reply): boolean => status === 200 || status === 202;

export interface InsistResult {
  readonly reply: Reply;
  /** What came first: `refused`, or no answer at all, while something was down. */
  readonly first: Reply;
  readonly tries: number;
  readonly at: number;
  /** When it was sent first, and when this answer came, by the clock. */
  readonly sentAt: number;
  readonly answeredAt: number;
}

/** Repeats the request with the same Idempotency-Key until an answer is final, as clients should do. */
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
  /** Holds `finance.clerk`, which decides in the queue `desk` as long as policies say so. */
  readonly clerk: Person;
  /** Another agent, which may ask in the first agent's runs. */
  readonly otherAgent: Person;
}

export async function makePeople(stack: Stack): Promise<People> {
  const known = (name: string): Person => makePerson(stack.url, name, stack.keys[name] ?? '');
  const operator = known('admin');
  const meet = async (id: string, fields: object): Promise<Person> => {
    const made = await operator.post('/v1/keys', { id, ...fields });
    if (made.status !== 201) throw new Error(`no key for \`${id}\`: ${JSON.stringify(made)}`);
    return makePerson(stack.url, id, keyBody.parse(made.body).key);
  };
  const controller = (id: string): Promise<Person> =>
    meet(id, { kind: 'human', roles: ['finance.controller'] });
  const ids = ['drill.controller.a', 'drill.controller.b', 'drill.controller.c'] as const;
  const [a, b, c] = [await controller(ids[0]), await controller(ids[1]), await controller(ids[2])];
  const cfo = await meet('drill.cfo', { kind: 'human', roles: ['finance.cfo'] });
  const clerk = await meet('drill.clerk', { kind: 'human', roles: ['finance.clerk'] });
  const asks = { kind: 'agent', permissions: ['run.start', 'run.read'] };
  const otherAgent = await meet('drill.other.agent', asks);
  return { agent: known('agent'), operator, controllers: [a, b, c], cfo, clerk, otherAgent };
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

/** What everybody asks for. */
export const payment = { arguments: { vendor: 'ACME', amount: 60_000 } };

/** Starts a run with a payment of 60,000 that waits at its gate, in one request. */
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
    // 202 where the machine is too busy to settle it in the time of a request: it is durable, and what follows queues.
    if (sent.status !== 202 || Date.now() > end)
      throw new Error(`\`${flow}\` did not park: ${JSON.stringify(sent)}`);
    await sleep(100);
    // The same submit again attaches to the approval that it has opened.
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
