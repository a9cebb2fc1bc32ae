import assert from 'node:assert/strict';
import { before, describe, test } from 'node:test';
import { checkFlowText, type Catalog } from '../../src/policy/index.js';
import {
  takeMark,
  loadShipped,
  transitionAt as T,
  withGuard,
  withStates,
  withTransition,
} from './documents.js';

// Every row is a document that must not load, with the position that the error must name.

/** What it is, the document with its mark, code, path, nearest valid name. */
type Row = readonly [title: string, text: string, code: string, path: string, suggestion?: string];

const F = '/workflows/f';
const S = `${F}/states`;
const mcp = 'executor: { kind: mcp, connection: classifier, tool: t }';
const rest = (more: string): string =>
  `tier: reversible\nexecutor: { kind: rest, connection: payroll, ${more} }`;
const agent = (more: string): string => `name: bot\nowner: team\nenvironment: dev\n${more}\n`;

const keys: readonly Row[] = [
  ['a misspelt key of a transition', withTransition('«gaurds: []'), 'UNKNOWN_KEY', `${T}/gaurds`, 'guards'],
  ['the singular of a key', withTransition('«guard: {}'), 'UNKNOWN_KEY', `${T}/guard`, 'guards'],
  ['a key in the wrong case', withTransition('«Guards: []'), 'UNKNOWN_KEY', `${T}/Guards`, 'guards'],
  ['a key of another place', withTransition('«initialState: a'), 'UNKNOWN_KEY', `${T}/initialState`],
  [
    'a misspelt key of a state',
    withStates('a:\n  «teminal: true'),
    'UNKNOWN_KEY',
    `${S}/a/teminal`,
    'terminal',
  ],
  [
    'a misspelt key of a flow',
    withStates('a: { terminal: true }', '«inputScheme: {}'),
    'UNKNOWN_KEY',
    `${F}/inputScheme`,
    'inputSchema',
  ],
  [
    'a misspelt key of a guard',
    withGuard('{ kind: permission, «permision: x }'),
    'UNKNOWN_KEY',
    `${T}/guards/0/permision`,
    'permission',
  ],
  [
    'a key that a guard of its kind has not',
    withGuard('{ kind: role, role: x, «expr: y }'),
    'UNKNOWN_KEY',
    `${T}/guards/0/expr`,
  ],
  [
    'where a denial leads as a key of an executor, which nothing would read',
    withTransition('tier: reversible\nexecutor: { kind: noop, «onDeny: a }'),
    'UNKNOWN_KEY',
    `${T}/executor/onDeny`,
  ],
  [
    'a misspelt key of an executor',
    withTransition(rest('method: GET, path: /, «bdoy: {}')),
    'UNKNOWN_KEY',
    `${T}/executor/bdoy`,
    'body',
  ],
  [
    'a misspelt key of a gate',
    withTransition('gate: { «role: [x] }'),
    'UNKNOWN_KEY',
    `${T}/gate/role`,
    'roles',
  ],
  [
    'a misspelt key of reliability',
    withTransition(rest('method: GET, path: /, reliability: { «retrry: {} }')),
    'UNKNOWN_KEY',
    `${T}/executor/reliability/retrry`,
    'retry',
  ],
  [
    'a misspelt key of a retry',
    withTransition(rest('method: GET, path: /, reliability: { retry: { «maxAttempt: 2 } }')),
    'UNKNOWN_KEY',
    `${T}/executor/reliability/retry/maxAttempt`,
    'maxAttempts',
  ],
  ['a key named constructor', withTransition('«constructor: {}'), 'UNKNOWN_KEY', `${T}/constructor`],
  [
    'an unknown operation of a mapping',
    withTransition('output: { x: { «plus: [1, 2] } }'),
    'UNKNOWN_KEY',
    `${T}/output/x/plus`,
  ],
  [
    'something beside workflows',
    `«connections: {}\n${withTransition('title: x')}`,
    'UNKNOWN_KEY',
    '/connections',
  ],
  [
    'a misspelt key of an agent',
    agent('permissions: {}\n«aproval_gate: {}'),
    'UNKNOWN_KEY',
    '/aproval_gate',
    'approval_gate',
  ],
  [
    'a misspelt permission list',
    agent('permissions: { «exceute: [] }'),
    'UNKNOWN_KEY',
    '/permissions/exceute',
    'execute',
  ],
];

const types: readonly Row[] = [
  ['guards as a map', withTransition('guards: «{ kind: role, role: x }'), 'WRONG_TYPE', `${T}/guards`],
  ['guards as nothing', withTransition('«guards:'), 'WRONG_TYPE', `${T}/guards`],
  ['transitions as nothing', withStates('a:\n  «transitions:'), 'WRONG_TYPE', `${S}/a/transitions`],
  ['a state as nothing', withStates('«a:'), 'WRONG_TYPE', `${S}/a`],
  ['states as a list', 'workflows:\n  f:\n    initialState: a\n    states: «[a]\n', 'WRONG_TYPE', S],
  ['a flow as text', 'workflows:\n  f: «text\n', 'WRONG_TYPE', F],
  ['workflows as a list', '«workflows: [f]\n', 'WRONG_TYPE', '/workflows'],
  ['a document as a list', '«- a\n- b\n', 'WRONG_TYPE', ''],
  ['terminal as text', withStates('a:\n  terminal: «"yes"'), 'WRONG_TYPE', `${S}/a/terminal`],
  [
    'a target as a number',
    withStates('a:\n  transitions:\n    go: { target: «5 }'),
    'WRONG_TYPE',
    `${T}/target`,
  ],
  [
    'a mapping operand as a map',
    withTransition('output: { x: { add: [1, «{}] } }'),
    'WRONG_TYPE',
    `${T}/output/x/add/1`,
  ],
];

const values: readonly Row[] = [
  ['an actor in the wrong case', withTransition('actor: «Human'), 'UNKNOWN_VALUE', `${T}/actor`, 'human'],
  ['an unknown tier', withTransition('tier: «readonly'), 'UNKNOWN_VALUE', `${T}/tier`, 'read_only'],
  [
    'an unknown link filter',
    withStates('a: { terminal: true, linkFilter: «byguard }'),
    'UNKNOWN_VALUE',
    `${S}/a/linkFilter`,
    'byGuards',
  ],
  [
    'an unknown outcome',
    withStates('a: { terminal: true, outcome: «succes }'),
    'UNKNOWN_VALUE',
    `${S}/a/outcome`,
    'success',
  ],
  [
    'an unknown method',
    withTransition(rest('method: «get, path: /')),
    'UNKNOWN_VALUE',
    `${T}/executor/method`,
    'GET',
  ],
  [
    'an unknown backoff',
    withTransition(rest('method: GET, path: /, reliability: { retry: { backoff: «exponental } }')),
    'UNKNOWN_VALUE',
    `${T}/executor/reliability/retry/backoff`,
    'exponential',
  ],
  [
    'a retry of what is never retried',
    withTransition(rest('method: GET, path: /, reliability: { retry: { retryOn: [«auth] } }')),
    'UNKNOWN_VALUE',
    `${T}/executor/reliability/retry/retryOn/0`,
  ],
  [
    'an unknown kind of guard',
    withGuard('{ kind: «permisson, permission: x }'),
    'UNKNOWN_KIND',
    `${T}/guards/0/kind`,
    'permission',
  ],
  [
    'an unknown kind of executor',
    withTransition('executor: { kind: «rset, connection: payroll }'),
    'UNKNOWN_KIND',
    `${T}/executor/kind`,
    'rest',
  ],
  ['a guard without a kind', withGuard('«{ permission: x }'), 'REQUIRED', `${T}/guards/0/kind`],
  [
    'no attempts',
    withTransition(rest('method: GET, path: /, reliability: { retry: { maxAttempts: «0 } }')),
    'WRONG_VALUE',
    `${T}/executor/reliability/retry/maxAttempts`,
  ],
  [
    'half an attempt',
    withTransition(rest('method: GET, path: /, reliability: { retry: { maxAttempts: «1.5 } }')),
    'WRONG_TYPE',
    `${T}/executor/reliability/retry/maxAttempts`,
  ],
  [
    'a duration without a unit',
    withTransition('gate: { timeout: { after: «"30" } }'),
    'WRONG_VALUE',
    `${T}/gate/timeout/after`,
  ],
  [
    'a duration in words',
    withTransition('gate: { timeout: { after: «"2 hours" } }'),
    'WRONG_VALUE',
    `${T}/gate/timeout/after`,
  ],
  [
    'a duration of nothing',
    withTransition('gate: { timeout: { after: «0s } }'),
    'WRONG_VALUE',
    `${T}/gate/timeout/after`,
  ],
  [
    'a duration of a thousand years',
    withTransition('gate: { timeout: { after: «366000d } }'),
    'WRONG_VALUE',
    `${T}/gate/timeout/after`,
  ],
  [
    'a negative duration',
    withTransition('gate: { timeout: { after: «"-5s" } }'),
    'WRONG_VALUE',
    `${T}/gate/timeout/after`,
  ],
  [
    'a duration as a number',
    withTransition('gate: { timeout: { after: «30 } }'),
    'WRONG_VALUE',
    `${T}/gate/timeout/after`,
  ],
  [
    'a time-out of no time',
    withStates('a: { terminal: true }', 'timeoutMs: «0'),
    'WRONG_VALUE',
    `${F}/timeoutMs`,
  ],
  [
    'a quorum of nobody',
    withTransition('gate: { quorum: { count: «0 } }'),
    'WRONG_VALUE',
    `${T}/gate/quorum/count`,
  ],
  [
    'an address that leaves the connection',
    withTransition(rest('method: GET, path: «"https://evil.example"')),
    'WRONG_VALUE',
    `${T}/executor/path`,
  ],
  ['another format version', `version: «2\n${withTransition('title: x')}`, 'WRONG_VALUE', '/version'],
];

const missing: readonly Row[] = [
  [
    'evidence that asks for nothing',
    withGuard('{ kind: evidence, requires: «[] }'),
    'EMPTY_GUARD',
    `${T}/guards/0/requires`,
  ],
  ['an empty allOf', withGuard('{ kind: allOf, guards: «[] }'), 'EMPTY_GUARD', `${T}/guards/0/guards`],
  ['an empty any_of', withGuard('{ kind: any_of, guards: «[] }'), 'EMPTY_GUARD', `${T}/guards/0/guards`],
  [
    'an empty allOf inside a not',
    withGuard('{ kind: not, guard: { kind: allOf, guards: «[] } }'),
    'EMPTY_GUARD',
    `${T}/guards/0/guard/guards`,
  ],
  ['allOf without guards', withGuard('«{ kind: allOf }'), 'REQUIRED', `${T}/guards/0/guards`],
  ['not without a guard', withGuard('«{ kind: not }'), 'REQUIRED', `${T}/guards/0/guard`],
  [
    'a permission guard without one',
    withGuard('«{ kind: permission }'),
    'REQUIRED',
    `${T}/guards/0/permission`,
  ],
  [
    'a role guard with an empty one',
    withGuard('{ kind: role, role: «"" }'),
    'WRONG_VALUE',
    `${T}/guards/0/role`,
  ],
  [
    'a transition without a target',
    withStates('a:\n  transitions:\n    «go: { title: x }'),
    'REQUIRED',
    `${T}/target`,
  ],
  [
    'a flow without an initial state',
    'workflows:\n  «f: { states: { a: { terminal: true } } }\n',
    'INITIAL_STATE',
    `${F}/initialState`,
  ],
  ['an agent without permissions', '«name: bot\n', 'REQUIRED', '/permissions'],
  ['one operand of two', withTransition('output: { x: { add: «[1] } }'), 'WRONG_VALUE', `${T}/output/x/add`],
];

const E = (expression: string): string => withGuard(`{ kind: expr, expr: ${expression} }`);
const G = `${T}/guards/0/expr`;
const expressions: readonly Row[] = [
  ['parentheses', E(`'«($.context.a == 1)'`), 'EXPRESSION_INVALID', G],
  ['two comparisons with &&', E(`'$.context.a == 1 «&& $.context.b == 2'`), 'EXPRESSION_INVALID', G, 'allOf'],
  ['two comparisons with ||', E(`'$.context.a == 1 «|| $.context.b == 2'`), 'EXPRESSION_INVALID', G, 'anyOf'],
  ['a chain', E(`'1 < $.context.a «< 3'`), 'EXPRESSION_INVALID', G],
  ['an unquoted word', E(`'$.context.a == «approved'`), 'EXPRESSION_INVALID', G, '"approved"'],
  ['a single equals sign', E(`'$.context.a «= 1'`), 'EXPRESSION_INVALID', G, '=='],
  ['no operator', E(`'$.context.a«'`), 'EXPRESSION_INVALID', G],
  ['no right side', E(`'$.context.a ==«'`), 'EXPRESSION_INVALID', G],
  ['a regular expression', E(`'$.context.a «=~ "x"'`), 'EXPRESSION_INVALID', G],
  ['an unknown scope', E(`'«$.ctx.a == 1'`), 'UNKNOWN_SCOPE', G, '$.context.a'],
  ['an output in a guard', E(`'«$.output.a == 1'`), 'UNKNOWN_SCOPE', G],
  ['an order of text', E(`'$.context.a > «"5"'`), 'EXPRESSION_INVALID', G],
  ['an order of nothing', E(`'$.context.a >= «null'`), 'EXPRESSION_INVALID', G],
  ['a number as a prefix', E(`'$.context.a starts_with «5'`), 'EXPRESSION_INVALID', G],
  ['an open quote', E(`'$.context.a == «"x'`), 'EXPRESSION_INVALID', G],
  [
    'a charter gate that does not parse',
    agent('permissions: {}\napproval_gate: { on: "amount >«" }'),
    'EXPRESSION_INVALID',
    '/approval_gate/on',
  ],
];

const references: readonly Row[] = [
  [
    'an unknown target',
    withStates('a:\n  transitions:\n    go: { target: «bb }\nb: { terminal: true }'),
    'DANGLING_TARGET',
    `${T}/target`,
    'b',
  ],
  [
    'an unknown initial state',
    'workflows:\n  f:\n    initialState: «startt\n    states: { start: { terminal: true } }\n',
    'INITIAL_STATE',
    `${F}/initialState`,
    'start',
  ],
  [
    'an unknown branch target',
    withTransition('branches: [{ when: { kind: role, role: x }, target: «nowhere }]'),
    'DANGLING_TARGET',
    `${T}/branches/0/target`,
  ],
  ['an unknown state on denial', withTransition('onDeny: «nowhere'), 'DANGLING_TARGET', `${T}/onDeny`],
  [
    'an unknown state on time-out',
    withStates('a: { terminal: true }', 'timeout: 1h\nonTimeout: { target: «late }'),
    'DANGLING_TARGET',
    `${F}/onTimeout/target`,
  ],
  [
    'an unknown connection',
    withTransition('tier: read_only\nexecutor: { kind: rest, connection: «payrol, method: GET, path: / }'),
    'UNKNOWN_CONNECTION',
    `${T}/executor/connection`,
    'payroll',
  ],
  [
    'a connection of another kind',
    withTransition('tier: read_only\nexecutor: { kind: cli, connection: «payroll }'),
    'CONNECTION_KIND',
    `${T}/executor/connection`,
  ],
  [
    'an unknown connection of a fallback',
    withTransition(
      rest(
        'method: GET, path: /, reliability: { fallback: { strategy: first_success, executors: [{ kind: rest, connection: «pay, method: GET, path: / }] } }',
      ),
    ),
    'UNKNOWN_CONNECTION',
    `${T}/executor/reliability/fallback/executors/0/connection`,
  ],
  ['an unknown tool', withTransition('tool: «erp.invoice'), 'UNKNOWN_TOOL', `${T}/tool`, 'erp.invoices'],
  [
    'an unknown tool of an agent',
    agent('permissions: { read: [«erp.vendor] }'),
    'UNKNOWN_TOOL',
    '/permissions/read/0',
    'erp.vendors',
  ],
  [
    'an unknown environment',
    withStates('a: { terminal: true }', 'environment: «stagging'),
    'UNKNOWN_ENVIRONMENT',
    `${F}/environment`,
    'staging',
  ],
  [
    'a quorum of a role that may not decide',
    withTransition('gate: { roles: [a.b], quorum: { perRole: { «finance.controller: 1 } } }'),
    'QUORUM_IMPOSSIBLE',
    `${T}/gate/quorum/perRole/finance.controller`,
  ],
];

const meaning: readonly Row[] = [
  [
    'transitions of a terminal state',
    withStates('a:\n  terminal: true\n  «transitions: { go: { target: a } }'),
    'TERMINAL_TRANSITIONS',
    `${S}/a/transitions`,
  ],
  [
    'the outcome of a state that is no end',
    withStates('a:\n  «outcome: success\n  transitions: { go: { target: b } }\nb: { terminal: true }'),
    'WRONG_VALUE',
    `${S}/a/outcome`,
  ],
  [
    'reliability in both places',
    withTransition(
      `${rest('method: GET, path: /, «reliability: { timeout: 1s }')}\nreliability: { timeout: 1s }`,
    ),
    'BOTH_PLACES',
    `${T}/executor/reliability`,
  ],
  [
    'an idempotency key in both places',
    withTransition(`${rest('method: POST, path: /, «idempotencyKey: true')}\nidempotencyKey: true`),
    'BOTH_PLACES',
    `${T}/executor/idempotencyKey`,
  ],
  [
    'a time-out in both notations',
    withTransition(rest('method: GET, path: /, reliability: { timeout: 1s, «timeoutMs: 1000 }')),
    'BOTH_PLACES',
    `${T}/executor/reliability/timeoutMs`,
  ],
  [
    'roles and approver_role',
    withTransition('gate: { roles: [x], «approver_role: x }'),
    'BOTH_PLACES',
    `${T}/gate/approver_role`,
  ],
  ['a tool and an executor', withTransition(`tool: erp.invoices\n«${mcp}`), 'BOTH_PLACES', `${T}/executor`],
  [
    'reliability of what has no executor',
    withTransition('«reliability: { timeout: 1s }'),
    'WRONG_VALUE',
    `${T}/reliability`,
  ],
  [
    'reliability beside a tool',
    withTransition('tool: erp.invoices\n«reliability: { timeout: 1s }'),
    'WRONG_VALUE',
    `${T}/reliability`,
  ],
  [
    'a human on entering',
    withStates('a:\n  terminal: true\n  onEnter: { executor: { kind: «human } }'),
    'WRONG_VALUE',
    `${S}/a/onEnter/executor/kind`,
  ],
  [
    'a human as a fallback',
    withTransition(
      rest(
        'method: GET, path: /, reliability: { fallback: { strategy: first_success, executors: [{ kind: «human }] } }',
      ),
    ),
    'WRONG_VALUE',
    `${T}/executor/reliability/fallback/executors/0/kind`,
  ],
  [
    'a tier that is not the tool’s',
    withTransition('tool: erp.payment.release\ntier: «read_only'),
    'TIER_MISMATCH',
    `${T}/tier`,
  ],
  [
    'an executor without a tier under a charter',
    withStates(
      `a:\n  transitions:\n    «go: { target: b, ${mcp} }\nb: { terminal: true }`,
      'charter: { permissions: {} }',
    ),
    'TIER_REQUIRED',
    T,
  ],
  [
    'a payment under read',
    agent('permissions: { read: [«erp.payment.draft] }'),
    'TIER_MISMATCH',
    '/permissions/read/0',
  ],
  [
    'evidence that nothing produces',
    withStates(
      'a:\n  transitions:\n    «go: { target: b, guards: [{ kind: evidence, requires: [tests_passed] }] }\nb: { terminal: true }',
    ),
    'EVIDENCE_NEVER_PRODUCED',
    T,
  ],
  [
    'an argument that no schema declares',
    withTransition(
      `inputSchema: { type: object, properties: { amount: { type: number } } }\n«guards: [{ kind: expr, expr: '$.arguments.amuont > 5' }]`,
    ),
    'UNDECLARED_ARGUMENT',
    `${T}/guards`,
    'amount',
  ],
  [
    'an argument where none is accepted',
    withTransition(`«guards: [{ kind: expr, expr: '$.arguments.amount > 5' }]`),
    'UNDECLARED_ARGUMENT',
    `${T}/guards`,
  ],
  [
    'an undeclared argument in a body',
    withTransition(
      `tier: reversible\n«executor: { kind: rest, connection: payroll, method: POST, path: /, body: { a: $.arguments.x } }`,
    ),
    'UNDECLARED_ARGUMENT',
    `${T}/executor`,
  ],
  [
    'an undeclared argument that is optional',
    withTransition(
      `tier: reversible\n«executor: { kind: rest, connection: payroll, method: POST, path: /, body: { a: $.arguments.x? } }`,
    ),
    'UNDECLARED_ARGUMENT',
    `${T}/executor`,
  ],
  [
    'an undeclared argument in a mapping',
    withTransition('«output: { x: $.arguments.x }'),
    'UNDECLARED_ARGUMENT',
    `${T}/output`,
  ],
  [
    'an undeclared argument in a gate',
    withTransition('«gate: { on: amount > 5 }'),
    'UNDECLARED_ARGUMENT',
    `${T}/gate`,
  ],
  [
    'an argument on entering',
    withStates(
      'a:\n  terminal: true\n  onEnter:\n    executor: { kind: noop }\n    «output: { x: $.arguments.x }',
    ),
    'UNDECLARED_ARGUMENT',
    `${S}/a/onEnter/output`,
  ],
  [
    'all arguments in a mapping of onEnter',
    withStates(
      'a:\n  terminal: true\n  onEnter:\n    executor: { kind: noop }\n    «output: { x: $.arguments }',
    ),
    'UNDECLARED_ARGUMENT',
    `${S}/a/onEnter/output`,
  ],
  [
    'a charter gate on what no tool declares',
    agent('permissions: { execute: [erp.payment.draft] }\napproval_gate: { on: «amuont > 50000 }'),
    'UNDECLARED_ARGUMENT',
    '/approval_gate/on',
    'amount',
  ],
  [
    'a prefill from arguments',
    withTransition('prefill: { a: «$.arguments.a }'),
    'UNKNOWN_SCOPE',
    `${T}/prefill/a`,
  ],
  [
    'a template of an unknown scope',
    withTransition(rest('method: POST, path: /, body: { a: «$.input.x }')),
    'UNKNOWN_SCOPE',
    `${T}/executor/body/a`,
    '$.workflow.input.x',
  ],
  [
    'an open brace in a path',
    withTransition(rest('method: GET, path: "/users/«{$.context.id"')),
    'PATH_INVALID',
    `${T}/executor/path`,
  ],
  [
    'a stray brace in a path',
    withTransition(rest('method: GET, path: "/users/«$.context.id}"')),
    'PATH_INVALID',
    `${T}/executor/path`,
  ],
  [
    'arguments of a deterministic transition',
    withTransition('actor: deterministic\n«inputSchema: { type: object }'),
    'WRONG_VALUE',
    `${T}/inputSchema`,
  ],
  [
    'a deterministic circle of one',
    withStates('«a:\n  transitions: { go: { target: a, actor: deterministic } }'),
    'DETERMINISTIC_LOOP',
    `${S}/a`,
  ],
  [
    'approval by time of what cannot be undone',
    withTransition('tool: erp.payment.release\ngate: { timeout: { after: 1h, action: «approve } }'),
    'GATE_TIMEOUT',
    `${T}/gate/timeout/action`,
  ],
  [
    'approval by time of an unknown tier',
    withTransition('gate: { timeout: { after: 1h, action: «approve } }'),
    'GATE_TIMEOUT',
    `${T}/gate/timeout/action`,
  ],
  [
    'approval by time in a charter',
    agent(
      'permissions: { execute: [erp.payment.release] }\napproval_gate: { timeout: { after: 1h, action: «approve } }',
    ),
    'GATE_TIMEOUT',
    '/approval_gate/timeout/action',
  ],
  [
    'an escalation to nobody',
    withTransition('gate: { timeout: «{ after: 1h, action: escalate } }'),
    'GATE_TIMEOUT',
    `${T}/gate/timeout`,
  ],
  [
    'a time-out target without a time-out',
    withStates('a: { terminal: true }', '«onTimeout: { target: a }'),
    'WRONG_VALUE',
    `${F}/onTimeout`,
  ],
  [
    'a schema that does not compile',
    withTransition('«inputSchema: { type: objekt }'),
    'SCHEMA_INVALID',
    `${T}/inputSchema`,
  ],
  [
    'a schema with a misspelt keyword',
    withTransition('«inputSchema: { type: object, propertys: {} }'),
    'SCHEMA_INVALID',
    `${T}/inputSchema`,
  ],
  [
    'a schema that answers later',
    withTransition('«inputSchema: { $async: true, type: object }'),
    'SCHEMA_INVALID',
    `${T}/inputSchema`,
  ],
  [
    'a schema from elsewhere',
    withTransition('«inputSchema: { $ref: "https://example.com/x.json" }'),
    'SCHEMA_INVALID',
    `${T}/inputSchema`,
  ],
  [
    'a schema whose null a keyword takes away',
    withTransition(
      '«inputSchema: { type: object, properties: { a: { type: object, nullable: true, allOf: [{ type: object }] } } }',
    ),
    'SCHEMA_INVALID',
    `${T}/inputSchema`,
  ],
  [
    'arguments that are no object',
    withTransition('inputSchema: { type: «string }'),
    'SCHEMA_INVALID',
    `${T}/inputSchema/type`,
  ],
];

const text: readonly Row[] = [
  [
    'a name written twice',
    withStates('a: { terminal: true }\n«a: { terminal: true }'),
    'DUPLICATE_NAME',
    `${S}/a`,
  ],
  ['a key written twice', withTransition('title: x\n«title: y'), 'DUPLICATE_NAME', `${T}/title`],
  [
    'a JSON key written twice',
    '{"name":"bot","permissions":{},«"permissions":{}}',
    'DUPLICATE_NAME',
    '/permissions',
  ],
  ['two flows', '«workflows:\n  f: {}\n  g: {}\n', 'ONE_FLOW', '/workflows'],
  ['no flow', '«workflows: {}\n', 'ONE_FLOW', '/workflows'],
  [
    'a state named __proto__',
    withStates('a: { terminal: true }\n«__proto__: { terminal: true }'),
    'NAME_INVALID',
    `${S}/__proto__`,
  ],
  [
    'a context value named __proto__',
    withStates('a: { terminal: true }', 'initialContext: { «__proto__: {} }'),
    'NAME_INVALID',
    `${F}/initialContext/__proto__`,
  ],
  [
    'a flow whose name is an address',
    'workflows:\n  «a/b: { initialState: a, states: { a: { terminal: true } } }\n',
    'NAME_INVALID',
    '/workflows/a~1b',
  ],
  ['an agent whose name is empty', 'name: «""\npermissions: {}\n', 'WRONG_VALUE', '/name'],
  [
    'a state with a line in its name',
    withStates('«"a\\nb": { terminal: true }'),
    'NAME_INVALID',
    `${S}/a\nb`,
  ],
  [
    'not a number',
    withStates('a: { terminal: true }', 'initialContext: { x: «.nan }'),
    'MALFORMED',
    `${F}/initialContext/x`,
  ],
  [
    'infinity',
    withStates('a: { terminal: true }', 'initialContext: { x: «-.inf }'),
    'MALFORMED',
    `${F}/initialContext/x`,
  ],
  [
    'a number beyond 2^53',
    withStates('a: { terminal: true }', 'initialContext: { x: «9007199254740993 }'),
    'MALFORMED',
    `${F}/initialContext/x`,
  ],
  [
    'a number beyond all',
    withStates('a: { terminal: true }', 'initialContext: { x: «1e999 }'),
    'MALFORMED',
    `${F}/initialContext/x`,
  ],
];

const rows = { keys, types, values, missing, expressions, references, meaning, text };

let catalog: Catalog;
before(async () => {
  ({ catalog } = await loadShipped());
});

for (const [group, list] of Object.entries(rows)) {
  describe(`refused, with its place: ${group}`, () => {
    for (const [title, document, code, path, suggestion] of list) {
      test(title, () => {
        const { text: source, line, column } = takeMark(document);
        const checked = checkFlowText(source, { catalog, file: 'f.yaml' });
        assert.equal(checked.status, 'invalid');
        const errors = checked.status === 'invalid' ? checked.errors : [];
        const found = errors.map(({ code: foundCode, path: at, line: l, column: c, suggestion: near }) => ({
          code: foundCode,
          path: at,
          line: l,
          column: c,
          ...(near === undefined ? {} : { suggestion: near }),
        }));
        const wanted = { code, path, line, column, ...(suggestion === undefined ? {} : { suggestion }) };
        assert.deepEqual(
          found.find((entry) => entry.code === code && entry.path === path) ?? found,
          wanted,
          JSON.stringify(errors, null, 1),
        );
        for (const finding of errors) {
          assert.equal(finding.file, 'f.yaml');
          assert.match(finding.message, /^[^A-Z]/, `house style: ${finding.message}`);
        }
      });
    }
  });
}

describe('refused before anything is built of it', () => {
  const assertRefused = (source: string): void => {
    const checked = checkFlowText(source, { catalog });
    assert.equal(checked.status, 'invalid');
    const errors = checked.status === 'invalid' ? checked.errors : [];
    assert.ok(errors.length >= 1 && errors.length <= 100, `${errors.length} errors`);
    for (const finding of errors)
      assert.ok(finding.line >= 1 && finding.column >= 1, JSON.stringify(finding));
  };
  const levels = ['a', 'b', 'c', 'd', 'e', 'f', 'g', 'h', 'i'];
  const bomb = levels
    .map(
      (name, index) =>
        `${name}: &${name} [${Array(9)
          .fill(index === 0 ? 'x' : `*${levels[index - 1]}`)
          .join(', ')}]`,
    )
    .join('\n');
  const documents: Readonly<Record<string, string>> = {
    'an alias bomb': bomb,
    'an alias inside itself': 'a: &a [*a, *a]',
    'an alias of nothing': 'a: *b',
    'ten thousand brackets': '['.repeat(10_000),
    'a hundred levels of JSON': `${'{"a":'.repeat(100)}1${'}'.repeat(100)}`,
    'a hundred levels of guards': withGuard(
      `${'{ kind: not, guard: '.repeat(100)}{ kind: role, role: x }${' }'.repeat(100)}`,
    ),
    'more than a megabyte': `name: ${'x'.repeat(1_100_000)}`,
    'two documents': 'name: a\n---\nname: b\n',
    'a tag': 'name: !!js/function "x"\n',
    'a number for a name': '1: a\n"1": b\n',
    'a list for a name': '? [a]\n: b\n',
    'a merge key': 'a: &a { x: 1 }\nb: { <<: *a }\n',
    'a tab for an indent': 'workflows:\n\tf: {}\n',
    'an open quote': 'name: "x\n',
    nothing: '',
    'only a comment': '# nothing\n',
    'ten thousand unknown keys': `name: bot\npermissions: {}\n${Array.from({ length: 10_000 }, (_, i) => `k${i}: 1`).join('\n')}`,
    'ten thousand dangling targets': withStates(
      Array.from({ length: 3_000 }, (_, i) => `s${i}: { transitions: { go: { target: t${i} } } }`).join('\n'),
    ),
  };
  for (const [title, source] of Object.entries(documents))
    test(title, { timeout: 10_000 }, () => assertRefused(source));
});

test('an unknown kind names the kinds of its place', () => {
  const checked = checkFlowText(withTransition('executor: { kind: bash }'), { catalog });
  assert.match(JSON.stringify(checked), /use one of `rest`, `mcp`, `cli`, `human`, `noop`/);
});

for (const [text, line] of [
  ['a:\n\tb: 1\n', 2],
  ['a: {\n\t\tb: 1\n\t}\n', 2],
  ['a: [\n  1,\n\t2\n]\n', 3],
] as const)
  test(`a tab as indentation is said to be one, within brackets too: ${JSON.stringify(text)}`, () => {
    const checked = checkFlowText(text, { catalog });
    assert.ok(checked.status === 'invalid');
    const [first] = checked.errors;
    assert.deepEqual(
      [first?.line, first?.message],
      [line, 'tabs are not allowed as indentation: indent with spaces'],
    );
  });

test('a hint tells to combine with allOf instead of &&', () => {
  const checked = checkFlowText(E(`'$.context.a == 1 && $.context.b == 2'`), { catalog });
  assert.match(JSON.stringify(checked), /allOf/);
});

const besides: readonly (readonly [string, string, string])[] = [
  [
    'a tier',
    withTransition('executor: { kind: noop, tier: reversible }'),
    '`tier` here: it stands beside `executor`',
  ],
  [
    'the tier of an onEnter',
    withStates('a:\n  terminal: true\n  onEnter: { executor: { kind: noop, tier: reversible } }'),
    '`tier` here: it stands beside `executor`',
  ],
  ['a target', withTransition('gate: { target: a }'), '`target` here: it stands beside `gate`'],
];
for (const [what, text, told] of besides)
  test(`${what} one level too deep is told where it stands`, () => {
    const checked = checkFlowText(text, { catalog });
    const [first] = checked.status === 'invalid' ? checked.errors : [];
    assert.equal(first?.code, 'UNKNOWN_KEY');
    assert.ok(first.message.includes(told), first.message);
  });

test('a missing tier is told where to write it, and it is taken there', () => {
  const call = 'executor: { kind: rest, connection: payroll, method: POST, path: / }';
  const flow = (tier: string): string => withStates(`a:\n  terminal: true\n  onEnter:\n${tier}    ${call}`);
  const told = (text: string): readonly string[] =>
    checkFlowText(text, { catalog })
      .warnings.filter(({ code }) => code === 'TIER_MISSING')
      .map(({ message }) => message);
  assert.deepEqual(told(flow('')), [
    'there is no `tier`: write it beside `executor`, in the transition, the tool or the onEnter',
  ]);
  assert.deepEqual(told(flow('    tier: reversible\n')), []);
});
