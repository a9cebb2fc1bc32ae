import type { Catalog } from '../../../src/policy/index.js';

// Flows with a given number of states, guards, mappings and so on.

const environment = { name: 'dev', requireTiers: false, refuseWarnings: false, gateTimeoutMs: 1_000 };
const policySet = {
  v: 1,
  baseDirectory: '/',
  connections: [],
  environments: [environment],
  roles: [],
  queues: [],
} as const;
export const catalog: Catalog = { policySet, tools: [] };
export const many = (count: number, make: (index: number) => readonly [string, unknown]): object =>
  Object.fromEntries(Array.from({ length: count }, (_, index) => make(index)));
export const guard = (expr: string): object => ({ kind: 'expr', expr });
const when = (expr: string, more: object = {}): object => ({
  target: 'done',
  actor: 'deterministic',
  guards: [guard(expr)],
  ...more,
});
export const flow = (states: object, more: object = {}): string =>
  JSON.stringify({
    workflows: {
      f: { owner: 't', initialState: 'open', ...more, states: { ...states, done: { terminal: true } } },
    },
  });
const set = (key: string): object => ({ target: 'done', output: { [key]: '$.workflow.input.x' } });

export interface Shape {
  /** About as many as fit in the largest text that may be sent. */
  readonly count: number;
  readonly text: (count: number) => string;
}

export const shapes: Readonly<Record<string, Shape>> = {
  'deterministic transitions out of one state': {
    count: 1_500,
    text: (count) =>
      flow({
        open: { transitions: many(count, (index) => [`t${index}`, when(`$.context.x == 'v${index}'`)]) },
      }),
  },
  'deterministic transitions that read as many keys': {
    count: 2_000,
    text: (count) =>
      flow({
        open: { transitions: many(count, (index) => [`t${index}`, when(`$.context.x${index} == 1`)]) },
      }),
  },
  'deterministic states that ask for one key': {
    count: 1_500,
    text: (count) =>
      flow(
        many(count, (index) => [
          index === 0 ? 'open' : `s${index}`,
          {
            transitions: {
              a: when('$.context.x > 1', { target: index < count - 1 ? `s${index + 1}` : 'done' }),
              b: when('$.context.x <= 1'),
            },
          },
        ]),
        { initialContext: { x: 1 } },
      ),
  },
  'deterministic states that ask for as many keys': {
    count: 2_000,
    text: (count) =>
      flow(
        many(count, (index) => [
          index === 0 ? 'open' : `s${index}`,
          {
            transitions: {
              a: when(`$.context.x${index} > 1`, { target: `s${(index + 1) % count || 1}` }),
              b: when('1 == 1'),
            },
          },
        ]),
      ),
  },
  'guards on one transition': {
    count: 8_000,
    text: (count) =>
      flow({
        open: {
          transitions: {
            go: {
              target: 'done',
              guards: Array.from({ length: count }, (_, index) =>
                guard(`$.context.x${index % (count / 2)} != ${index}`),
              ),
            },
          },
        },
      }),
  },
  'mappings that write one key, and two thirds as many that read it': {
    count: 3_000,
    text: (count) =>
      flow({
        open: {
          transitions: {
            ...many(count, (index) => [`w${index}`, set('x')]),
            ...many(Math.floor((count * 2) / 3), (index) => [
              `r${index}`,
              { target: 'done', guards: [guard(`$.context.x == ${index}`)] },
            ]),
          },
        },
      }),
  },
  'targets that are no state': {
    count: 9_000,
    text: (count) =>
      flow({
        open: {
          transitions: many(count, (index) => [`t${index}`, { target: `nowhere_to_be_found_${index}` }]),
        },
      }),
  },
  'unknown keys': {
    count: 20_000,
    text: (count) =>
      flow({
        open: { transitions: { go: { target: 'done', ...many(count, (index) => [`gaurds${index}`, 1]) } } },
      }),
  },
  'acknowledgements of what nobody finds': {
    count: 9_000,
    text: (count) =>
      flow(
        { open: { transitions: { go: { target: 'done' } } } },
        {
          acknowledge: Array.from({ length: count }, (_, index) => ({
            code: `DETERMINISTIC_HOOL${index}`,
            reason: 'r',
          })),
        },
      ),
  },
  'tools that its charter grants, and as many that it denies': {
    count: 15_000,
    text: (count) => {
      const tools = Array.from({ length: count }, (_, index) => `tool${index}`);
      return JSON.stringify({ name: 'f', owner: 't', permissions: { execute: tools, deny: tools } });
    },
  },
  schemas: {
    count: 300,
    text: (count) =>
      flow({
        open: {
          transitions: many(count, (index) => [
            `t${index}`,
            {
              target: 'done',
              inputSchema: { type: 'object', properties: { [`p${index}`]: { type: 'string' } } },
            },
          ]),
        },
      }),
  },
};
