import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { checkFlowText, loadFolder, type Catalog, type FlowCheck } from '../../src/policy/index.js';
import type { CliExecutor } from '../../src/executors/cli/types.js';
import { compilePublished } from '../../src/policy/folder/published.js';
import { parseText } from '../../src/policy/text/source.js';

// Numbers of policies are what their author wrote, or an error that says to quote.

const located: readonly (readonly [string, string])[] = [
  ['a: 00123456', '1:4 /a'],
  ['a: 0777', '1:4 /a'],
  ['a: -012', '1:4 /a'],
  ['a:\n  - x\n  - 01.5', '3:5 /a/1'],
  ['{"a": 12345678901234567890}', '1:7 /a'],
  // What is no JSON has no path.
  ['{"version": 01}', '1:13 '],
  ['{"a":\n[1, -012.5]}', '2:5 '],
  ['a: 9007199254740993', '1:4 /a'],
  ['a: 0.12345678901234567891', '1:4 /a'],
  ['a: 1e400', '1:4 /a'],
  ['a: 1e-400', '1:4 /a'],
  ['a: 0x20000000000001', '1:4 /a'],
];
for (const [text, place] of located)
  test(`\`${text}\` is an error that says to quote`, () => {
    const parsed = parseText(text, undefined, text.startsWith('{') ? 'json' : 'yaml');
    assert.ok(parsed.status === 'invalid');
    const [problem] = parsed.problems;
    assert.equal(`${problem?.line}:${problem?.column} ${problem?.path}`, place);
    assert.match(problem?.message ?? '', /write it as text, `"/);
  });

const taken: readonly (readonly [string, unknown])[] = [
  ['a: "00123456"', '00123456'],
  ["a: '0777'", '0777'],
  ['a: 0', 0],
  ['a: 0.1', 0.1],
  ['a: 1.10', 1.1],
  ['a: 0.30000000000000004', 0.30000000000000004],
  ['a: 1e3', 1000],
  ['a: 0x1F', 31],
  ['a: 9007199254740991', 9007199254740991],
];
for (const [text, value] of taken)
  test(`\`${text}\` is what it says`, () => {
    const parsed = parseText(text);
    assert.ok(parsed.status === 'parsed');
    assert.deepEqual(parsed.source.value, { a: value });
  });

const catalog: Catalog = {
  policySet: {
    ...{ v: 1, baseDirectory: '/', roles: [], queues: [] },
    environments: [{ name: 'dev', requireTiers: false, refuseWarnings: false, gateTimeoutMs: 3_600_000 }],
    connections: [
      {
        name: 'shell',
        targets: [
          {
            environment: null,
            connection: { kind: 'cli', command: '/bin/true', args: [], env: {}, workingDirectory: null },
          },
        ],
      },
      {
        name: 'web',
        targets: [
          {
            environment: null,
            connection: { kind: 'rest', baseUrl: 'https://a.example', allowPrivate: false, headers: {} },
          },
        ],
      },
    ],
  },
  tools: [],
};

const flow = (executor: string, more = '{}'): string => `workflows:
  f:
    owner: team
    initialState: a
    states:
      a:
        transitions:
          go:
            target: done
            tier: reversible
            output: ${more}
            executor: ${executor}
      done: { terminal: true }
`;
const check = (executor: string, more?: string): FlowCheck =>
  checkFlowText(flow(executor, more), { catalog });

const findingsOf = ({ status, ...found }: FlowCheck): string[] => [
  ...(status === 'invalid' && 'errors' in found ? found.errors : []).map(
    ({ code, line, path, message }) => `${code} ${line} ${path.split('/').slice(7).join('/')} ${message}`,
  ),
  ...found.warnings.map(
    ({ code, path, message }) => `${code} ${path.split('/').slice(7).join('/')} ${message}`,
  ),
];

const rest = (more: string): string => `{ kind: rest, connection: web, method: POST, path: /x, ${more} }`;
const cli = (args: string): string => `{ kind: cli, connection: shell, args: ${args} }`;

const sentOtherwise: readonly (readonly [written: string, sent: string])[] = [
  ['3.10', '3.1'],
  ['1.0', '1'],
  ['1e3', '1000'],
  ['0x1F', '31'],
  ['0o17', '15'],
  ['+49301234567', '49301234567'],
  ['.5', '0.5'],
  ['5.', '5'],
  ['-0', '0'],
  ['True', 'true'],
];
for (const [written, sent] of sentOtherwise) {
  const what = /^T/.test(written) ? '' : 'the number ';
  const message = `${what}\`${written}\` would be sent as \`${sent}\`: write it as text, \`"${written}"\``;
  test(`\`${written}\`, which would be sent as \`${sent}\`, is an error in every place of text`, () => {
    assert.deepEqual(findingsOf(check(cli(`[release, ${written}]`))), [
      `WRONG_VALUE 12 executor/args/1 ${message}`,
    ]);
    assert.deepEqual(findingsOf(check(rest(`query: { version: ${written} }`))), [
      `WRONG_VALUE 12 executor/query/version ${message}`,
    ]);
    assert.deepEqual(findingsOf(check(rest(`headers: { X-Version: ${written} }`))), [
      `WRONG_VALUE 12 executor/headers/X-Version ${message}`,
    ]);
    assert.deepEqual(findingsOf(check(`{ kind: cli, connection: shell, stdin: ${written} }`)), [
      `WRONG_VALUE 12 executor/stdin ${message}`,
    ]);
  });
}

test('what is sent as it is written needs no quotes', () => {
  const texts = '[3, 3.5, -7, true, yes, 2024-01-01, 12:30, 10_000, "3.10", argv]';
  const found = check(cli(texts));
  assert.deepEqual(findingsOf(found), []);
  assert.ok(found.status === 'valid');
  const { executor } = found.flow.plan.states[0]?.transitions[0] ?? {};
  assert.ok(executor?.kind === 'cli');
  assert.deepEqual(
    (executor as CliExecutor).args.map((argument) => argument.kind === 'literal' && argument.value),
    ['3', '3.5', '-7', 'true', 'yes', '2024-01-01', '12:30', '10_000', '3.10', 'argv'],
  );
});

test('a null in a place of text would be left out, so it is an error', () => {
  for (const written of ['null', '~', 'Null'])
    assert.match(
      findingsOf(check(rest(`query: { filter: ${written} }`))).join(),
      new RegExp(`^WRONG_VALUE 12 executor/query/filter \`${written}\` is no text, and would be left out`),
    );
});

test('a number that an alias stands for is the number at its anchor', () => {
  assert.match(
    findingsOf(check(rest('headers: { A: &v 1.50, B: *v }'))).join('\n'),
    /headers\/A the number `1\.50`.*\n.*headers\/B the number `1\.50`/,
  );
});

test('a part of `concat` is text too, but an operand of a sum is not', () => {
  assert.match(
    findingsOf(check('{ kind: noop }', '{ release: { concat: [v, 3.10] } }')).join(),
    /^WRONG_VALUE 11 output\/release\/concat\/1 the number `3\.10` would be joined as `3\.1`/,
  );
  assert.deepEqual(
    findingsOf(check('{ kind: noop }', '{ total: { add: ["$.context.total", 1.50] } }')).filter((finding) =>
      /1\.50/.test(finding),
    ),
    [],
  );
});

test('where JSON is sent or kept, a number in another writing is a warning', () => {
  assert.deepEqual(findingsOf(check(rest('body: { a: [1.10, 2] }'))), [
    'NUMBER_REWRITTEN executor/body/a/0 the number `1.10` is handed on as `1.1`: write that, or the text `"1.10"`',
  ]);
  assert.match(
    findingsOf(check('{ kind: noop, output: { v: 1e3 } }')).join(),
    /^NUMBER_REWRITTEN executor\/output\/v/,
  );
  assert.match(findingsOf(check('{ kind: noop }', '{ v: 1.0 }')).join(), /^NUMBER_REWRITTEN output\/v/);
  assert.match(
    findingsOf(check('{ kind: noop }', '{ v: { set: { w: 1.0 } } }')).join(),
    /^NUMBER_REWRITTEN output\/v\/set\/w/,
  );
});

test('numbers in a flow that is sent as JSON are checked in the same way', () => {
  const executor = { kind: 'rest', connection: 'web', method: 'GET', path: '/x', query: { v: 'V' } };
  const states = {
    a: { transitions: { go: { target: 'done', tier: 'reversible', executor } } },
    done: { terminal: true },
  };
  const text = JSON.stringify({ workflows: { f: { owner: 'team', initialState: 'a', states } } });
  const found = checkFlowText(text.replace('"V"', '2024.10'), { catalog, media: 'json' });
  assert.match(
    findingsOf(found).join(),
    /^WRONG_VALUE 1 executor\/query\/v the number `2024\.10` would be sent as `2024\.1`/,
  );
});

test('what needs text and gets a number is told about the number as it is written', () => {
  assert.match(
    findingsOf(check('{ kind: human, queue: 3.10 }')).join(),
    /^WRONG_TYPE 12 executor\/queue expected text, not `3\.10`: write it as text, `"3\.10"`/,
  );
  const parsed = parseText('a: { 3.10: x }');
  assert.ok(parsed.status === 'invalid');
  assert.match(parsed.problems[0]?.message ?? '', /^`3\.10` is no text, so it cannot be a name/);
});

test('a connection that is given a number where it takes text is told to quote what it wrote', async (t) => {
  const root = mkdtempSync(join(tmpdir(), 'countersign-numbers-'));
  t.after(() => rmSync(root, { recursive: true }));
  writeFileSync(
    join(root, 'connections.yaml'),
    'connections:\n  a: { kind: cli, command: x, args: [3.10], env: { V: 1e3 } }\n  b: { kind: rest, baseUrl: https://b.example, headers: { X: 2024.10 } }\n',
  );
  const loaded = await loadFolder(root);
  assert.ok(loaded.status === 'invalid');
  assert.deepEqual(
    loaded.errors.map(({ code, path, message }) => `${code} ${path} ${message}`),
    [
      'WRONG_TYPE /connections/a/args/0 expected text, not `3.10`: write it as text, `"3.10"`',
      'WRONG_TYPE /connections/a/env/V expected text, not `1e3`: write it as text, `"1e3"`',
      'WRONG_TYPE /connections/b/headers/X expected text, not `2024.10`: write it as text, `"2024.10"`',
    ],
  );
});

test('a flow that is published already goes on as it was, with a warning', () => {
  const environment = { name: 'dev', requireTiers: false, refuseWarnings: true, gateTimeoutMs: 1_000 };
  const strict = { ...catalog, policySet: { ...catalog.policySet, environments: [environment] } };
  const written = ['1.0', 'True', '~', '', '+5', '0x1F', '-0'];
  const executors = written.flatMap((text) => [
    rest(`query: { v: ${text} }`),
    rest(`headers: { X-Version: ${text} }`),
    rest(`body: { v: [${text}] }`),
    ...(text === '' || text === '~' ? [] : [cli(`[${text}]`)]),
  ]);
  const texts = [
    ...executors.map((executor) => flow(executor)),
    flow('{ kind: noop }', '{ v: { concat: [v, 1.0] } }'),
    flow('{ kind: noop }', '{ v: 1e3 }'),
  ];
  const rewritten = texts.filter((text) => checkFlowText(text, { catalog: strict }).status === 'invalid');
  assert.equal(rewritten.length, 25);
  for (const text of rewritten) {
    const published = compilePublished(text, strict);
    assert.ok(published.status === 'valid', JSON.stringify(published));
    assert.deepEqual(
      published.flow.warnings.map(({ code }) => code),
      ['NUMBER_REWRITTEN'],
    );
  }
});

test('a flow that is published already is withdrawn for what else is wrong in it', () => {
  const text = flow(rest('query: { v: 1.0 }')).replace('connection: web', 'connection: gone');
  const published = compilePublished(text, catalog);
  assert.ok(published.status === 'invalid');
  assert.deepEqual(
    published.errors.map(({ code }) => code),
    ['UNKNOWN_CONNECTION'],
  );
});
