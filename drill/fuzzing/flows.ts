import type { FuzzRequest } from './requests.js';
import { pick, type Random } from '../random.js';

// Flows at the limits of what loads. The drill checks, publishes, reads and starts them.
// - `arms` and `chain`: a thousand deterministic transitions, in one state and in a chain.
// - `guards`: six thousand guards.
// - `joins`: a chain that joins a thousand values at each step; they exist in one state and are missing in another.
// - `evidence`: links whose guard requires evidence 250 times, beside four hundred records of evidence.
// - `looks`: thirty guards that each search a list of two thousand items.

const state = (transitions: object): object => ({ transitions });
const expr = (text: string): object => ({ kind: 'expr', expr: text });
const times = <T>(count: number, make: (index: number) => T): T[] =>
  Array.from({ length: count }, (_, index) => make(index));
const named = <T>(count: number, prefix: string, make: (index: number) => T): Record<string, T> =>
  Object.fromEntries(times(count, (index) => [`${prefix}${index}`, make(index)] as const));

const deterministic = (target: string, guard: string): object => ({
  target,
  actor: 'deterministic',
  guards: [expr(guard)],
});

/** A state that is entered again four hundred times, and does the same each time. */
const rounds = (
  at: string,
  done: string,
  { output = {}, ...more }: { readonly output?: object; readonly evidence?: string },
): object =>
  state({
    more: {
      ...deterministic(at, '$.context.n < 400'),
      output: { n: { add: ['$.context.n', 1] }, ...output },
      ...more,
    },
    out: deterministic(done, '$.context.n >= 400'),
  });

const concat = (path: string): object => ({ z: { concat: times(990, () => path) } });
const requires = { kind: 'evidence', requires: [{ kind: 'x', count: 100_000 }, ...times(250, () => 'x')] };

const looks = times(30, (n) => expr(`$.workflow.input.items contains '${itemOf(n * 66)}'`));

function itemOf(index: number): string {
  return `an item of some length, number ${index}`;
}

const flows = {
  /** Only the guard of the last transition passes, so that one step evaluates them all. */
  arms: {
    initialContext: { x: 'v990' },
    states: {
      open: state(named(991, 'arm', (n) => deterministic('s0', `$.context.x == 'v${n}'`))),
      ...named(9, 's', (n) =>
        state({ next: deterministic(n === 8 ? 'done' : `s${n + 1}`, `$.context.x != 'v${n}'`) }),
      ),
    },
  },
  chain: {
    initialContext: { n: 1 },
    maxChainDepth: 500,
    states: {
      open: state({ next: deterministic('s0', '$.context.n == 1') }),
      ...named(495, 's', (n) =>
        state({
          next: deterministic(n === 494 ? 'done' : `s${n + 1}`, '$.context.n == 1'),
          other: deterministic('done', '$.context.n == 2'),
        }),
      ),
    },
  },
  guards: {
    initialContext: { n: 1 },
    linkFilter: 'byGuards',
    states: {
      open: state(
        named(24, 't', (n) => ({
          target: 'open',
          guards: times(250, (at) => expr(n === 0 || at < 249 ? '$.context.n==1' : '$.context.n==2')),
        })),
      ),
    },
  },
  joins: {
    initialContext: { n: 0, q: '' },
    maxChainDepth: 500,
    states: {
      open: state({
        t0: { target: 'round', output: concat('$.context.q') },
        t1: { target: 'missing', output: concat('$.workflow.input.q') },
      }),
      round: rounds('round', 'done', { output: concat('$.context.q') }),
      missing: rounds('missing', 'done', { output: concat('$.workflow.input.q') }),
    },
  },
  evidence: {
    initialContext: { n: 0 },
    linkFilter: 'byGuards',
    maxChainDepth: 500,
    states: {
      open: state({ t0: { target: 'round' }, t1: { target: 'asked' } }),
      round: rounds('round', 'asked', { evidence: 'x' }),
      asked: state({
        ...named(20, 't', () => ({ target: 'done', guards: [requires] })),
        more: { target: 'asked', evidence: 'x' },
      }),
    },
  },
  looks: {
    linkFilter: 'byGuards',
    inputSchema: {
      type: 'object',
      properties: { items: { type: 'array', default: [], items: { type: 'string' } } },
    },
    states: {
      open: state({
        t0: { target: 'open', guards: looks },
        t1: { target: 'asked', guards: [{ kind: 'allOf', guards: looks }] },
      }),
      asked: state({ next: { target: 'done', actor: 'deterministic', guards: looks } }),
    },
  },
} as const;

type LargeFlow = keyof typeof flows;
export const largeFlows = Object.keys(flows) as readonly LargeFlow[];

/** `version` makes the texts of two publications differ. */
export function flowText(flow: LargeFlow, name: string, version = 0): string {
  const { states, ...others } = flows[flow];
  const body = { owner: 'drill', description: `v${version}`, initialState: 'open', ...others };
  return JSON.stringify({
    workflows: { [name]: { ...body, states: { ...states, done: { terminal: true } } } },
  });
}

const items = JSON.stringify(times(2_000, itemOf));

/** A request about a large flow, which is in the policies folder or which the drill itself publishes. */
export function largeFlowRequest(random: Random): FuzzRequest {
  const flow = pick(random, largeFlows);
  const name = pick(random, [flow, flow, `${flow}-more`]);
  const version = pick(random, [1, 2, 3]);
  const path = `/v1/flows/${name}`;
  const submits = flow !== 'arms' && flow !== 'chain';
  const transition = pick(random, ['t0', 't1']);
  const start = {
    input: flow === 'looks' ? { items: JSON.parse(items) as string[] } : {},
    ...(submits ? { submit: { transition, arguments: {} } } : {}),
  };
  const [by, method, to, body] = pick(random, [
    ['agent', 'POST', `${path}/runs`, JSON.stringify(start)],
    ['agent', 'POST', `${path}/runs`, JSON.stringify(start)],
    ['agent', 'POST', '/v1/flows/check', flowText(flow, name, version)],
    ['admin', 'POST', '/v1/flows', flowText(flow, `${flow}-more`, version)],
    ['admin', 'GET', `${path}/versions/${version}`, null],
    ['admin', 'GET', `${path}/diff?from=1&to=2`, null],
  ] as const);
  return {
    ...{ method, path: to, by, truncated: false },
    headers: body === null ? {} : { 'content-type': 'application/json' },
    body: body === null ? null : Buffer.from(body),
  };
}
