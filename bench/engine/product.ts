import { generateKeyPairSync } from 'node:crypto';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import type * as AuthRoom from '../../src/auth/index.js';
import type * as EngineRoom from '../../src/engine/index.js';
import type * as PolicyRoom from '../../src/policy/index.js';
import type * as KitFile from '../../src/schema/kit.js';
import type { GuardContext } from '../../src/engine/guards.js';
import type { Guard, Plan } from '../../src/engine/plan.js';
import type { Event, Kit, RunState } from '../../src/engine/state.js';
import type { Json, JsonObject } from '../../src/model/values/json.js';
import type { Message } from '../../src/model/message.js';
import type { Principal } from '../../src/model/principal.js';
import { projectRoot } from '../../testing/paths.js';
import { payment, type Facts, type Said } from './facts.js';
import type { Subject } from './timing.js';

// Our engine, loaded from `dist`: the benchmark measures what runs in the service, not what a test runner makes of the sources.

const policies = join(projectRoot, 'bench', 'engine', 'policies');
const time = '2026-01-01T00:00:00.000Z';

export interface Product {
  says(rule: string, facts: Facts): Said;
  /** The verdict alone, as links and gates ask for it. */
  verdict(rule: string): (facts: Facts) => () => boolean;
  /** The verdict with its reason and what it read, as a policy check records it. */
  explained(rule: string): (facts: Facts) => () => boolean;
  readonly subjects: readonly Subject[];
  /** Times the verification of a message's Ed25519 signature, which comes before the policy check. Nanoseconds of each call. */
  signatureNs(calls: number): Promise<readonly number[]>;
}

async function dist<T>(path: string): Promise<T> {
  return (await import(pathToFileURL(join(projectRoot, 'dist', path)).href)) as T;
}

export async function loadProduct(): Promise<Product> {
  const engine = await dist<typeof EngineRoom>('engine/index.js');
  const { loadFolder } = await dist<typeof PolicyRoom>('policy/index.js');
  const { makeKit } = await dist<typeof KitFile>('schema/kit.js');
  const folder = await loadFolder(policies);
  if (folder.status === 'invalid') throw new Error(folder.errors.map((error) => error.message).join('\n'));
  const kit = makeKit(folder.policySet, 'dev', { author: null, promoter: null });
  const plan = (name: string): Plan => {
    const found = folder.flows.find((flow) => flow.name === name)?.plan;
    if (found === undefined) throw new Error(`no flow \`${name}\``);
    return found;
  };
  const guardOf = (rule: string): Guard => {
    const [guard] =
      plan('payment').states[0]?.transitions.find((transition) => transition.name === rule)?.guards ?? [];
    if (guard === undefined) throw new Error(`no guard \`${rule}\``);
    return guard;
  };
  return {
    says(rule, facts) {
      const { verdict, reason } = engine.evaluateGuard(guardOf(rule), contextOf(facts));
      return { verdict, why: reason };
    },
    verdict(rule) {
      const guard = guardOf(rule);
      return (facts) => {
        const at = contextOf(facts);
        return () => engine.verdictOf(guard, at) === 'pass';
      };
    },
    explained(rule) {
      const guard = guardOf(rule);
      return (facts) => {
        const at = contextOf(facts);
        return () => engine.evaluateGuard(guard, at).verdict === 'pass';
      };
    },
    subjects: makeChecks(engine, kit, plan('payment'), plan('chain_of_ten')),
    signatureNs: measureSignature,
  };
}

const clerk: Principal = {
  id: 'bench.clerk',
  kind: 'agent',
  roles: ['employee', 'finance.clerk'],
  permissions: ['run.start'],
};

function contextOf(facts: Facts): GuardContext {
  return {
    arguments: facts.arguments,
    context: facts.context,
    input: {},
    principal: { ...clerk, roles: [...facts.principal.roles] },
    evidence: [],
    state: 'open',
    stay: 1,
  };
}

function makeEnvelope(id: number): Omit<Message, 'body'> {
  return { v: 1, id: `msg_${id}`, run: 'run_1', time, principal: clerk, refs: [] };
}

function makeMessage(id: number, body: Message['body']): Message {
  return { ...makeEnvelope(id), body };
}

function makeSubmit(id: number, transition: string, args: JsonObject): Event {
  const body = { kind: 'submit', transition, arguments: args, expectedVersion: 0 } as const;
  return { kind: 'message', time, message: makeMessage(id, body) };
}

/** Each check is one `decide`, as a step makes it: no database, no signature, no network. */
function makeChecks(engine: typeof EngineRoom, kit: Kit, pays: Plan, chains: Plan): readonly Subject[] {
  const fresh = startState(engine, kit, pays);
  // What a run remembers of five hundred earlier successes.
  const done = Array.from({ length: 500 }, (_, index) => [`pay:sha256:${index}`, 1] as const);
  const old: RunState = { ...fresh, successes: done };
  const good = Array.from({ length: 16 }, (_, index) =>
    makeSubmit(index, 'pay', payment(1_000 + index, `INV-2${index}`).arguments),
  );
  const bad = good.map((_, index) =>
    makeSubmit(index, 'pay', payment(1_000 + index, `PO-2${index}`).arguments),
  );
  const go = good.map((_, index) => makeSubmit(index, 'go', {}));
  const begun = startState(engine, kit, chains);
  const makeSubject =
    (
      plan: Plan,
      run: RunState,
      events: readonly Event[],
      right: (state: RunState, facts: number) => boolean,
    ) =>
    (index: number): boolean => {
      const event = events[index & 15];
      if (event === undefined) return false;
      const { state, trace } = engine.decide(plan, run, event, kit, 's1.0');
      return right(state, trace.length);
    };
  const executes = (state: RunState): boolean => state.executing !== null;
  const refused = (state: RunState, facts: number): boolean => state.executing === null && facts === 7;
  return [
    { name: 'policyCheck', share: 1, call: makeSubject(pays, fresh, good, executes) },
    { name: 'policyCheckRefused', share: 1, call: makeSubject(pays, fresh, bad, refused) },
    { name: 'policyCheckOldRun', share: 1, call: makeSubject(pays, old, good, executes) },
    {
      name: 'chainOfTen',
      share: 0.2,
      call: makeSubject(chains, begun, go, (state) => state.status === 'completed'),
    },
  ];
}

function startState(engine: typeof EngineRoom, kit: Kit, plan: Plan): RunState {
  const planHash = kit.digest(plan as unknown as Json);
  const start = makeMessage(-1, {
    kind: 'start',
    flow: plan.name,
    flowVersion: 1,
    planHash,
    environment: 'dev',
    mode: 'live',
    traceId: 'trace',
    input: {},
  });
  const first = engine.initialRun(plan, planHash, start);
  if (first === null) throw new Error('a start message starts a run');
  return engine.decide(plan, first, { kind: 'message', time, message: start }, kit, 's0.0').state;
}

async function measureSignature(calls: number): Promise<readonly number[]> {
  const { sealMessage, openMessage } = await dist<typeof AuthRoom>('auth/index.js');
  const { privateKey, publicKey } = generateKeyPairSync('ed25519');
  const spki = publicKey.export({ format: 'der', type: 'spki' }).toString('base64');
  const signing = { keyId: 'bench', privateKey, publicKey: spki };
  const submit = { kind: 'submit', transition: 'pay', expectedVersion: 0 } as const;
  const sealed = sealMessage({ signing }, { ...makeEnvelope(1), environment: 'dev', body: submit });
  const opening = { run: 'run_1', environment: 'dev', publicKey: () => publicKey };
  const times: number[] = [];
  for (let left = 2 * calls; left > 0; left -= 1) {
    const from = performance.now();
    const verified = openMessage(sealed, opening);
    // The first half warms up.
    if (left <= calls) times.push((performance.now() - from) * 1e6);
    if (verified.status !== 'ok') throw new Error('a signature that holds was refused');
  }
  return times;
}
