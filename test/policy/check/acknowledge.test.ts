import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { Finding } from '../../../src/policy/index.js';
import { takeMark } from '../documents.js';
import { loadFiles } from '../load.js';

// A warning is accepted where it arises, with a reason, and is still shown; nothing else is accepted (docs/adr/0006).

async function load(files: Readonly<Record<string, string>>) {
  const loaded = await loadFiles(files);
  return { errors: loaded.status === 'invalid' ? loaded.errors : [], warnings: loaded.warnings };
}

const summariesOf = (found: readonly Finding[]): unknown[] =>
  found.map((finding) => [finding.code, finding.path, finding.acknowledged ?? null]);

/** A flow without an owner, with two states that nothing leads to. */
const flow = (acknowledge: string, more = ''): string => `workflows:
  f:
    acknowledge: ${acknowledge}
${more}    initialState: a
    states:
      a: { terminal: true }
      b: { terminal: true }
      b/c: { terminal: true }
`;
const S = '/workflows/f/states';
const expectedWarnings = (owner: string | null, b: string | null, c: string | null): unknown[] => [
  ['NO_OWNER', '/workflows/f', owner],
  ['UNREACHABLE_STATE', `${S}/b`, b],
  ['UNREACHABLE_STATE', `${S}/b~1c`, c],
];

describe('a warning is acknowledged', () => {
  const rows: readonly (readonly [title: string, list: string, warnings: unknown[]])[] = [
    ['not without a word', '[]', expectedWarnings(null, null, null)],
    [
      'by its code, all over the flow',
      '[{ code: UNREACHABLE_STATE, reason: r }]',
      expectedWarnings(null, 'r', 'r'),
    ],
    [
      'at a path, and below it',
      '[{ code: UNREACHABLE_STATE, at: /states/b, reason: r }]',
      expectedWarnings(null, 'r', null),
    ],
    [
      'at a place whose name has a slash',
      '[{ code: UNREACHABLE_STATE, at: /states/b~1c, reason: r }]',
      expectedWarnings(null, null, 'r'),
    ],
    [
      'with the first reason, where several entries give a reason',
      '[{ code: NO_OWNER, reason: first }, { code: NO_OWNER, reason: second }]',
      expectedWarnings('first', null, null),
    ],
  ];
  for (const [title, list, warnings] of rows)
    test(title, async () => {
      const found = await load({ 'flows/f.yaml': flow(list) });
      assert.deepEqual(found.errors, []);
      assert.deepEqual(summariesOf(found.warnings), warnings);
    });

  test('on a declared agent, and on a tool where it is exposed and where it is not', async () => {
    const tool = (name: string): string =>
      `{ name: ${name}, executor: { kind: rest, connection: c, method: POST, path: / }, gate: { roles: [x] }, acknowledge: [{ code: GATE_WITHOUT_TIMEOUT, reason: ${name} }] }`;
    const { errors, warnings } = await load({
      'connections.yaml': 'connections: { c: { kind: rest, baseUrl: "https://c.example" } }',
      'tools/a.yaml': `tools: [${tool('inner')}]\nproxy: { expose: [${tool('outer')}] }\n`,
      'flows/bot.yaml': 'name: bot\npermissions: {}\nacknowledge: [{ code: NO_OWNER, reason: nobody }]\n',
    });
    assert.deepEqual(errors, []);
    assert.deepEqual(summariesOf(warnings.filter((finding) => finding.code !== 'TIER_MISSING')), [
      ['NO_OWNER', '', 'nobody'],
      ['GATE_WITHOUT_TIMEOUT', '/tools/0/gate', 'inner'],
      ['GATE_WITHOUT_TIMEOUT', '/proxy/expose/0/gate', 'outer'],
    ]);
  });

  test('at the top of a file for what belongs to neither, and for nothing that does', async () => {
    const { warnings } = await load({
      'environments.yaml':
        'acknowledge: [{ code: GATE_WITHOUT_TIMEOUT, reason: ours }]\nenvironments: { dev: { gates: [{ roles: [x] }] } }\n',
      'roles.yaml':
        'acknowledge: [{ code: NAMES_DIFFER_IN_CASE, reason: both are old }]\nroles: { clerk: , Clerk: }\n',
      'flows/f.yaml': `acknowledge: [{ code: NO_OWNER, reason: all of them }]\n${flow('[]')}`,
    });
    assert.deepEqual(summariesOf(warnings.filter((finding) => finding.code !== 'UNREACHABLE_STATE')), [
      ['GATE_WITHOUT_TIMEOUT', '/environments/dev/gates/0', 'ours'],
      ['ACKNOWLEDGED_NOTHING', '/acknowledge/0', null],
      ['NO_OWNER', '/workflows/f', null],
      ['NAMES_DIFFER_IN_CASE', '/roles/Clerk', 'both are old'],
    ]);
  });
});

describe('an environment', () => {
  const strict = { 'environments.yaml': 'environments: { dev: { refuseWarnings: true } }\n' };
  const both = '[{ code: NO_OWNER, reason: r }, { code: UNREACHABLE_STATE, reason: r }]';

  test('that refuses warnings takes what is acknowledged, and still tells it', async () => {
    const open = await load({ ...strict, 'flows/f.yaml': flow('[]') });
    assert.deepEqual(summariesOf(open.errors), expectedWarnings(null, null, null));
    const taken = await load({ ...strict, 'flows/f.yaml': flow(both) });
    assert.deepEqual(taken.errors, []);
    assert.deepEqual(summariesOf(taken.warnings), expectedWarnings('r', 'r', 'r'));
  });

  test('that demands tiers refuses a missing tier, whoever acknowledges it', async () => {
    const { errors } = await load({
      'environments.yaml': 'environments: { dev: { requireTiers: true } }\n',
      'connections.yaml': 'connections: { c: { kind: rest, baseUrl: "https://c.example" } }',
      'flows/f.yaml': `workflows:
  f:
    owner: team
    acknowledge: [{ code: TIER_MISSING, reason: harmless }]
    initialState: a
    states:
      a: { transitions: { go: { target: b, executor: { kind: rest, connection: c, method: POST, path: / } } } }
      b: { terminal: true }
`,
    });
    assert.deepEqual(
      errors.map((finding) => finding.code),
      ['TIER_MISSING'],
    );
  });

  const manyRewritten = (acknowledge: string): string => `workflows:
  f:
    owner: team
    acknowledge: ${acknowledge}
    initialContext: { ${Array.from({ length: 120 }, (_, n) => `n${n}: 1.10`).join(', ')} }
    initialState: a
    states:
      a: { transitions: { go: { target: b, executor: { kind: rest, connection: c, method: POST, path: / } } } }
      b: { terminal: true }
`;
  const connections = {
    'connections.yaml': 'connections: { c: { kind: rest, baseUrl: "https://c.example" } }',
  };

  test('that demands tiers refuses a missing tier, however many other warnings there are', async () => {
    const { errors } = await load({
      ...connections,
      'environments.yaml': 'environments: { dev: { requireTiers: true } }\n',
      'flows/f.yaml': manyRewritten('[]'),
    });
    assert.deepEqual(
      errors.map((finding) => finding.code),
      ['TIER_MISSING'],
    );
  });

  test('that refuses warnings refuses those that are too many to be shown, where only a part of them is acknowledged', async () => {
    const { errors } = await load({
      ...connections,
      ...strict,
      'flows/f.yaml': manyRewritten(
        '[{ code: NUMBER_REWRITTEN, at: /initialContext, reason: r }, { code: TIER_MISSING, reason: r }]',
      ),
    });
    assert.deepEqual(
      errors.map(({ code, message }) => [code, /and more of these than the 100/.test(message)]),
      [['NUMBER_REWRITTEN', true]],
    );
  });
});

describe('what is called only where something else fails', () => {
  const fallback =
    '{ kind: noop, reliability: { fallback: { strategy: first_success, executors: [{ kind: noop }, { kind: rest, connection: c, method: POST, path: / }] } } }';
  const open = (states: string, charter: string): ReturnType<typeof load> =>
    load({
      'environments.yaml': 'environments: { dev: { requireTiers: true, gates: [{ roles: [x] }] } }\n',
      'connections.yaml': 'connections: { c: { kind: rest, baseUrl: "https://c.example" } }',
      'flows/f.yaml': `workflows: { f: { owner: t, ${charter} initialState: a, states: { ${states}, b: { terminal: true } } } }`,
    });
  const go = (more = ''): string =>
    `a: { transitions: { go: { target: b, ${more} executor: ${fallback} } } }`;
  const enter = (more = ''): string =>
    `a: { onEnter: { ${more} executor: ${fallback} }, transitions: { go: { target: b } } }`;
  const charter = 'charter: { permissions: { read: [], execute: [] } },';
  const rows: readonly (readonly [string, string, string, readonly string[]])[] = [
    ['a tier where tiers are required', go(), '', ['TIER_MISSING']],
    ['a tier under a charter', go(), charter, ['TIER_REQUIRED']],
    ['no more than that', go('tier: reversible,'), charter, []],
    ['no gate on entering a state', enter('tier: reversible,'), '', ['GATE_IMPOSSIBLE']],
    ['a tier on entering a state', enter(), charter, ['TIER_REQUIRED', 'GATE_IMPOSSIBLE']],
  ];
  for (const [title, states, more, codes] of rows)
    test(`needs ${title}`, async () => {
      const { errors } = await open(states, more);
      assert.deepEqual(errors.map((finding) => finding.code).sort(), [...codes].sort());
    });
});

describe('it is no acknowledgement', () => {
  const rows: readonly (readonly [title: string, list: string, code: string, suggestion?: string])[] = [
    ['of what is not there', '[«{ code: DEAD_END, reason: r }]', 'ACKNOWLEDGED_NOTHING'],
    ['of another place', '[«{ code: NO_OWNER, at: /states/a, reason: r }]', 'ACKNOWLEDGED_NOTHING'],
    ['of an error', '[{ code: «DANGLING_TARGET, reason: r }]', 'ACKNOWLEDGED_ERROR'],
    ['of what nobody has heard of', '[{ code: «NO_OWNR, reason: r }]', 'UNKNOWN_VALUE', 'NO_OWNER'],
    ['without a reason', '[«{ code: NO_OWNER }]', 'REQUIRED'],
    ['with an empty reason', '[{ code: NO_OWNER, reason: «"" }]', 'WRONG_VALUE'],
    ['with a reason that nobody can read', '[{ code: NO_OWNER, reason: «"\\u200b \\u3164" }]', 'WRONG_VALUE'],
    ['at what is no pointer', '[{ code: NO_OWNER, reason: r, at: «states }]', 'WRONG_VALUE'],
    ['with other words', '[{ code: NO_OWNER, «why: r, reason: r }]', 'UNKNOWN_KEY'],
  ];
  for (const [title, list, code, suggestion] of rows)
    test(title, async () => {
      const at = takeMark(flow(list));
      const { errors, warnings } = await load({ 'flows/f.yaml': at.text });
      const found = [...errors, ...warnings].find((finding) => finding.code === code);
      assert.deepEqual(
        [found?.file, found?.line, found?.column, found?.suggestion],
        ['flows/f.yaml', at.line, at.column, suggestion],
        JSON.stringify([errors, warnings], null, 1),
      );
      assert.equal(errors.length > 0, code !== 'ACKNOWLEDGED_NOTHING');
    });
});
