import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { compilePublished } from '../../../src/policy/folder/published.js';
import { checkFlowText, type Finding, type FolderResult } from '../../../src/policy/index.js';
import { takeMark } from '../documents.js';
import { loadFiles } from '../load.js';

// Gates with stages, hours, floors and slots: what is wrong with them is told in the file and at the place where it is.

const roles = `roles:
  clerk: { hours: { zone: Europe/Berlin, from: '09:00', to: '17:30', days: [mon, tue, wed, thu, fri] } }
  chief:
queues: { desk: { roles: [clerk] } }
`;
const connections = 'connections: { erp: { kind: rest, baseUrl: "https://erp.example" } }\n';
const rest = 'executor: { kind: rest, connection: erp, method: POST, path: /x }';

/** A flow with an effect under this gate. */
const flow = (gate: string, tier = 'reversible', more = ''): string => `workflows:
  f:
    owner: team
${more}    initialState: a
    states:
      a:
        transitions:
          go:
            target: b
            tier: ${tier}
            ${rest}
            gate: ${gate}
      b: { terminal: true }
`;
const bare = `workflows:
  f:
    owner: team
    initialState: a
    states:
      a: { transitions: { go: { target: b, tier: reversible, ${rest} } } }
      b: { terminal: true }
`;
/** A flow under a charter, with an effect on a transition and another on entering. */
const entering = (charter: string, tier: string): string =>
  bare
    .replace(
      '    initialState',
      `    charter: { permissions: { read: [] }, ${charter} }\n    initialContext: { x: 1 }\n    initialState`,
    )
    .replace('b: { terminal: true }', `b: { terminal: true, «onEnter: { ${tier}${rest} } }`);
const floor = (gate: string): string => `environments:\n  dev:\n    gates:\n      - ${gate}\n`;

function load(files: Readonly<Record<string, string>>): Promise<FolderResult> {
  return loadFiles({
    'roles.yaml': roles,
    'connections.yaml': connections,
    'flows/f.yaml': bare,
    ...files,
  });
}

async function findingsIn(files: Readonly<Record<string, string>>): Promise<readonly Finding[]> {
  const loaded = await load(files);
  return [...(loaded.status === 'invalid' ? loaded.errors : []), ...loaded.warnings];
}

const good: readonly (readonly [title: string, files: Readonly<Record<string, string>>])[] = [
  [
    'a role that looks like an address, and is declared',
    {
      'roles.yaml': 'roles: { "a,b": }\n',
      'flows/f.yaml': flow('{ roles: ["a,b", finance@corp.example], timeout: { after: 1d } }'),
    },
  ],
  [
    'an escalation that is followed by another and a denial',
    {
      'flows/f.yaml': flow(
        '{ roles: [clerk], timeout: { after: 4h, hours: business, action: escalate, to: [chief], then: { after: 1d } } }',
      ),
    },
  ],
  ['an absolute end', { 'flows/f.yaml': flow('{ timeout: { at: "2127-01-01T12:00:00+01:00" } }') }],
  ['the earlier of both', { 'flows/f.yaml': flow('{ timeout: { after: 8h, at: "2127-01-01T12:00:00Z" } }') }],
  [
    'business hours of a queue’s roles',
    { 'flows/f.yaml': flow('{ queue: desk, timeout: { after: 8h, hours: business } }') },
  ],
  [
    'reminders, and an end that the arguments bring',
    {
      'flows/f.yaml': flow(
        '{ reminders: [0.5, 0.9], expiresWith: $.workflow.input.due, timeout: { after: 8h } }',
        'reversible',
        '    inputSchema: { type: object, properties: { due: { type: string } } }\n',
      ),
    },
  ],
  [
    'slots, and somebody who has approved nothing yet',
    {
      'flows/f.yaml': flow(
        '{ roles: [clerk, chief], quorum: { perRole: { clerk: 2, chief: 1 } }, separation: { approvers: true, author: true, promoter: true }, timeout: { after: 8h } }',
      ),
    },
  ],
  [
    'slots of a queue’s roles',
    { 'flows/f.yaml': flow('{ queue: desk, quorum: { perRole: { clerk: 2 } }, timeout: { after: 8h } }') },
  ],
  [
    'time that approves what can be undone',
    { 'flows/f.yaml': flow('{ timeout: { after: 8h, action: approve } }') },
  ],
  [
    'a floor for what can be undone, that time approves',
    { 'environments.yaml': floor('{ tiers: [reversible], timeout: { after: 8h, action: approve } }') },
  ],
  [
    'a floor whose roles meet the gate’s',
    {
      'environments.yaml': floor(
        '{ roles: [chief, clerk], quorum: { perRole: { clerk: 1 } }, timeout: { after: 8h } }',
      ),
      'flows/f.yaml': flow('{ roles: [clerk], timeout: { after: 8h } }'),
    },
  ],
  [
    'a floor for others than an entry’s tier',
    {
      'environments.yaml': floor('{ tiers: [irreversible], timeout: { after: 8h } }'),
      'flows/f.yaml': bare.replace(
        'b: { terminal: true }',
        `b: { terminal: true, onEnter: { tier: reversible, ${rest} } }`,
      ),
    },
  ],
  [
    'a floor of another environment',
    {
      'environments.yaml': 'environments: { dev: , live: { gates: [{ timeout: { after: 8h } }] } }\n',
      'flows/f.yaml': bare.replace(
        'b: { terminal: true }',
        `b: { terminal: true, onEnter: { tier: reversible, ${rest} } }`,
      ),
    },
  ],
];

describe('nothing is said about', () => {
  for (const [title, files] of good)
    test(title, async () => {
      assert.deepEqual(await findingsIn(files), []);
    });
});

/** What it is, the file with its mark, its text, the code, the nearest name; other files. */
type Row = readonly [
  title: string,
  file: string,
  text: string,
  code: string,
  suggestion?: string | null,
  others?: Readonly<Record<string, string>>,
];
const F = 'flows/f.yaml';
const E = 'environments.yaml';
const R = 'roles.yaml';
const time = 'timeout: { after: 8h }';

const bad: readonly Row[] = [
  ['a timeout without a time', F, flow('{ «timeout: { action: deny } }'), 'GATE_TIMEOUT'],
  ['an end that is no time', F, flow('{ timeout: { at: «tomorrow } }'), 'WRONG_VALUE'],
  ['an end on a day that is none', F, flow('{ timeout: { at: «"2027-13-01T12:00:00Z" } }'), 'WRONG_VALUE'],
  ['a misspelt stage', F, flow('{ timeout: { after: 1h, «than: { after: 1h } } }'), 'UNKNOWN_KEY', 'then'],
  ['misspelt hours', F, flow('{ timeout: { after: 1h, hours: «busines } }'), 'UNKNOWN_VALUE', 'business'],
  [
    'hours of an absolute end',
    F,
    flow('{ timeout: { at: "2127-01-01T12:00:00Z", «hours: business } }'),
    'GATE_TIMEOUT',
  ],
  [
    'business hours of a role without',
    F,
    flow('{ roles: [chief], timeout: { after: 1h, hours: «business } }'),
    'UNKNOWN_HOURS',
  ],
  ['business hours of nobody', F, flow('{ timeout: { after: 1h, hours: «business } }'), 'UNKNOWN_HOURS'],
  ['a role that is nearly one', F, flow(`{ roles: [«clerc], ${time} }`), 'UNKNOWN_ROLE', 'clerk'],
  ...['${APPROVER_ROLE}', 'env://ROLE', '{{role}}', '<role>', '%ROLE%', 'lead,chief', '*'].map(
    (role) =>
      [
        `a role that is not filled in or divided: ${role}`,
        ...[F, flow(`{ roles: [chief, «"${role}"], ${time} }`), 'UNKNOWN_ROLE'],
      ] as unknown as (typeof bad)[number],
  ),
  [
    'an escalation to nearly a role',
    F,
    flow('{ timeout: { after: 1h, action: escalate, to: [«cheif] } }'),
    'UNKNOWN_ROLE',
    'chief',
  ],
  [
    'a human executor of nearly a role',
    F,
    flow(`{ roles: [chief], ${time} }`).replace(
      rest,
      'summary: go on\n            executor: { kind: human, roles: [«cheif] }',
    ),
    'UNKNOWN_ROLE',
    'chief',
  ],
  ['a queue that is nearly one', F, flow(`{ queue: «desc, ${time} }`), 'UNDECLARED_QUEUE', 'desk'],
  [
    'a human executor of nearly a queue',
    F,
    bare.replace(rest, 'summary: go on, executor: { kind: human, queue: «desc }'),
    'UNDECLARED_QUEUE',
    'desk',
  ],
  [
    'a human executor of nearly a queue, beside roles',
    F,
    bare.replace(rest, 'summary: go on, executor: { kind: human, queue: «desc, roles: [chief] }'),
    'UNDECLARED_QUEUE',
    'desk',
  ],
  [
    'a charter whose gate waits in nearly a queue',
    F,
    bare.replace(
      '    initialState',
      `    charter: { permissions: { read: [] }, approval_gate: { queue: «desc, ${time} } }\n    initialState`,
    ),
    'UNDECLARED_QUEUE',
    'desk',
  ],
  ['an end that is over', F, flow('{ timeout: { at: «"2020-01-01T12:00:00Z" } }'), 'TIME_PASSED'],
  [
    'an end after an escalation that is over',
    F,
    flow('{ timeout: { after: 1h, action: escalate, to: [chief], then: { at: «"2020-01-01T12:00:00Z" } } }'),
    'TIME_PASSED',
  ],
  ['a floor whose end is over', E, floor('{ timeout: { at: «"2020-01-01T12:00:00Z" } }'), 'TIME_PASSED'],
  [
    'a stage after a denial',
    F,
    flow('{ timeout: { after: 1h, action: deny, «then: { after: 1h } } }'),
    'GATE_TIMEOUT',
  ],
  [
    'a stage that ends before the stage before it',
    F,
    flow(
      '{ timeout: { at: "2127-01-02T12:00:00Z", action: escalate, to: [chief], then: { at: «"2127-01-01T12:00:00Z" } } }',
    ),
    'GATE_TIMEOUT',
  ],
  [
    'time that approves what cannot be undone, after an escalation',
    F,
    flow(
      '{ timeout: { after: 1h, action: escalate, to: [chief], then: { after: 1h, action: «approve } } }',
      'irreversible',
    ),
    'GATE_TIMEOUT',
  ],
  ['a reminder after the end', F, flow(`{ reminders: [0.5, «1.5], ${time} }`), 'WRONG_VALUE'],
  ['a reminder at the end', F, flow(`{ reminders: [«1], ${time} }`), 'WRONG_VALUE'],
  ['an end from nowhere', F, flow(`{ expiresWith: «$.ctx.due, ${time} }`), 'UNKNOWN_SCOPE', '$.context.due'],
  [
    'an end that no argument brings',
    F,
    flow(`{ expiresWith: $.arguments.due, ${time} }`).replace('gate:', '«gate:'),
    'UNDECLARED_ARGUMENT',
  ],
  [
    'an end that nothing writes',
    F,
    flow(`{ expiresWith: $.context.due, ${time} }`).replace('go:', '«go:'),
    'NEVER_WRITTEN',
  ],
  [
    'a misspelt separation',
    F,
    flow(`{ separation: { «aprovers: true }, ${time} }`),
    'UNKNOWN_KEY',
    'approvers',
  ],
  ['slots without any role', F, flow(`{ quorum: { perRole: { «clerk: 1 } }, ${time} }`), 'QUORUM_IMPOSSIBLE'],
  [
    'slots of another queue’s role',
    F,
    flow(`{ queue: desk, quorum: { perRole: { «chief: 1 } }, ${time} }`),
    'QUORUM_IMPOSSIBLE',
  ],
  ['a queue of nearly a role', R, roles.replace('[clerk]', '[«clerc]'), 'UNKNOWN_ROLE', 'clerk'],
  [
    'a zone that is none',
    R,
    roles.replace('Europe/Berlin', '«Europe/Berlim'),
    'WRONG_VALUE',
    'Europe/Berlin',
  ],
  [
    'hours that end before they begin',
    R,
    roles.replace('{ zone', '«{ zone').replace("'09:00'", "'18:00'"),
    'WRONG_VALUE',
  ],
  ['a time of day that is none', R, roles.replace("'09:00'", "«'9 am'"), 'WRONG_VALUE'],
  ['a day that is none', R, roles.replace('[mon', '[«mo'), 'UNKNOWN_VALUE', 'mon'],
  ['a floor of nearly a role', E, floor(`{ roles: [«clerc], ${time} }`), 'UNKNOWN_ROLE', 'clerk'],
  ['a floor with a condition', E, floor(`{ «on: amount > 5, ${time} }`), 'UNKNOWN_KEY'],
  [
    'a floor for nearly a tier',
    E,
    floor(`{ tiers: [«irreversable], ${time} }`),
    'UNKNOWN_VALUE',
    'irreversible',
  ],
  [
    'a floor whose slots nobody fills',
    E,
    floor(`{ roles: [chief], quorum: { perRole: { «clerk: 1 } }, ${time} }`),
    'QUORUM_IMPOSSIBLE',
  ],
  [
    'a floor of slots without roles',
    E,
    floor(`{ quorum: { perRole: { «clerk: 1 } }, ${time} }`),
    'QUORUM_IMPOSSIBLE',
  ],
  [
    'a floor that time approves, for all tiers',
    E,
    floor('{ timeout: { after: 1h, action: «approve } }'),
    'GATE_TIMEOUT',
  ],
  [
    'a floor that time approves, for what cannot be undone',
    E,
    floor('{ tiers: [reversible, irreversible], timeout: { after: 1h, action: «approve } }'),
    'GATE_TIMEOUT',
  ],
  ['a floor without a timeout', E, floor('«{ roles: [chief] }'), 'GATE_WITHOUT_TIMEOUT'],
  [
    'an effect on entering, under a floor',
    F,
    bare.replace('b: { terminal: true }', `b: { terminal: true, «onEnter: { tier: reversible, ${rest} } }`),
    'GATE_IMPOSSIBLE',
    null,
    { [E]: floor(`{ ${time} }`) },
  ],
  [
    'an effect on entering that is irreversible, without a charter',
    F,
    bare.replace('b: { terminal: true }', `b: { terminal: true, «onEnter: { tier: irreversible, ${rest} } }`),
    'GATE_IMPOSSIBLE',
  ],
  [
    'an effect on entering, under a gate of its charter',
    F,
    entering(`approval_gate: { roles: [chief], ${time} }`, 'tier: reversible, '),
    'GATE_IMPOSSIBLE',
  ],
  [
    'an effect on entering, under a gate of its charter that may ask',
    F,
    entering(`approval_gate: [{ on: $.context.x > 5, roles: [chief], ${time} }]`, 'tier: reversible, '),
    'GATE_IMPOSSIBLE',
  ],
  ['an effect on entering without a tier, under a charter', F, entering('', ''), 'TIER_REQUIRED'],
  [
    'a step that nobody submits, under a floor',
    F,
    bare.replace('go: {', '«go: { actor: deterministic,'),
    'DETERMINISTIC_GATE',
    null,
    { [E]: floor(`{ ${time} }`) },
  ],
  ['an onDeny where nothing waits', F, bare.replace('go: {', 'go: { «onDeny: b,'), 'NOTHING_TO_DENY'],
];

describe('told where it stands', () => {
  for (const [title, file, text, code, suggestion = null, others = {}] of bad)
    test(title, async () => {
      const at = takeMark(text);
      const findings = await findingsIn({ ...others, [file]: at.text });
      const [first] = findings;
      assert.deepEqual(
        findings.length > 0 && { ...first, message: '', path: '' },
        {
          code,
          file,
          line: at.line,
          column: at.column,
          message: '',
          path: '',
          ...(suggestion === null ? {} : { suggestion }),
        },
        JSON.stringify(findings, null, 1),
      );
      assert.ok(
        findings.every((finding) => finding.code === code),
        JSON.stringify(findings),
      );
    });
});

/** A flow in which nobody is asked, so nobody denies: nothing leads to its state `c`. */
const onDeny = bare
  .replace('go: {', 'go: { onDeny: c,')
  .replace('      b:', '      c: { terminal: true }\n      b:');
/** The same with a loop without an exit. */
const loop = bare.replace('go: { target: b,', 'go: { target: a, actor: deterministic, onDeny: b,');

test('a state that only an impossible denial leads to is reported as a state that nothing leads to', async () => {
  const codes = async (text: string, more = {}): Promise<string[]> =>
    (await findingsIn({ ...more, [F]: text })).map(({ code }) => code);
  assert.deepEqual(await codes(onDeny), ['NOTHING_TO_DENY', 'UNREACHABLE_STATE']);
  assert.deepEqual(await codes(onDeny, { [E]: floor(`{ ${time} }`) }), []);
  // Only a mistake beside it is reported, and nothing false that would follow from the mistake.
  const unknown = onDeny.replace(`tier: reversible, ${rest}`, 'tool: nobody');
  assert.deepEqual(await codes(unknown, { [E]: floor(`{ ${time} }`) }), ['UNKNOWN_TOOL']);
  assert.ok((await codes(loop)).includes('DETERMINISTIC_LOOP'));
  assert.ok(!(await codes(loop, { [E]: floor(`{ ${time} }`) })).includes('DETERMINISTIC_LOOP'));
});

test('a flow that was published with an impossible denial goes on with a warning, unless it loops without an exit', async () => {
  const loaded = await load({ [E]: 'environments: { dev: { refuseWarnings: true } }\n' });
  assert.ok(loaded.status === 'loaded', JSON.stringify(loaded));
  const { catalog } = loaded;
  assert.equal(checkFlowText(onDeny, { catalog }).status, 'invalid');
  const published = compilePublished(onDeny, catalog);
  assert.ok(published.status === 'valid', JSON.stringify(published));
  assert.deepEqual(
    published.flow.warnings.map(({ code }) => code),
    ['NOTHING_TO_DENY'],
  );
  // It was accepted with its warnings, so an acknowledgement of a warning that is not given any more refuses nothing either.
  const accepted = ['NOTHING_TO_DENY', 'UNREACHABLE_STATE'].map((code) => `{ code: ${code}, reason: later }`);
  const taken = onDeny.replace('owner: team\n', `owner: team\n    acknowledge: [${accepted.join(', ')}]\n`);
  assert.equal(checkFlowText(taken, { catalog }).status, 'valid');
  assert.equal(compilePublished(taken, catalog).status, 'valid');
  const looping = compilePublished(loop, catalog);
  assert.ok(looping.status === 'invalid');
  assert.deepEqual(
    looping.errors.map(({ code }) => code),
    ['DETERMINISTIC_LOOP'],
  );
});
