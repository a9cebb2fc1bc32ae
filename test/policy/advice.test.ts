import assert from 'node:assert/strict';
import { before, describe, test } from 'node:test';
import { parse } from 'yaml';
import { checkFlowText, type Catalog, type Finding } from '../../src/policy/index.js';
import type { Media } from '../../src/policy/text/source.js';
import { loadFiles } from './load.js';
import { loadShipped, withStates, withTransition } from './documents.js';

// What a problem of shape advises is written into the document here, in place of `%`, and the document is checked again.

let catalog: Catalog;
before(async () => {
  ({ catalog } = await loadShipped());
});

function problemsOf(document: string, written: string, media: Media = 'yaml'): readonly Finding[] {
  const checked = checkFlowText(
    document.replace('%', () => written),
    { catalog, media },
  );
  return checked.status === 'invalid' ? checked.errors : [];
}

function messageOf(document: string, written: string, media: Media = 'yaml'): string {
  const [first, second] = problemsOf(document, written, media);
  assert.equal(second, undefined, JSON.stringify(second));
  return first?.message ?? '';
}

const placeIn = (document: string): string =>
  document
    .split('\n')
    .find((line) => line.includes('%'))
    ?.trim() ?? '';

const namesIn = (text: string): readonly string[] =>
  [...text.matchAll(/`([^`]*)`/g)].map(([, name]) => name ?? '');

const gate = (more: string): string => withTransition(`gate: { approver_role: a.b, ${more} }`);
const charterGate = (more: string): string =>
  withStates('a: { terminal: true }', `charter: { approval_gate: { approver_role: a.b, ${more} } }`);
const roles = withTransition('gate: { roles: %, timeout: { after: 1h } }');
const executor = withTransition('tier: reversible\nexecutor: %');
const reliability = withTransition(
  'tier: read_only\nexecutor: { kind: rest, connection: payroll, method: GET, path: /, reliability: % }',
);

describe('advice on lists', () => {
  const told = async (files: Readonly<Record<string, string>>): Promise<string> => {
    const loaded = await loadFiles(files);
    assert.ok(loaded.status === 'invalid');
    return loaded.errors.map(({ message }) => message).join('\n');
  };
  const args = async (written: string): Promise<string> =>
    told({ 'connections.yaml': `connections: { a: { kind: cli, command: node, args: ${written} } }` });

  test('takes a command line apart, as a program takes its arguments', async () => {
    for (const [written, list] of [
      ['server.js --stdio', '[server.js, --stdio]'],
      ['"server.js  --stdio"', '[server.js, --stdio]'],
      ['-p 80 true', '[-p, "80", "true"]'],
      ['server.js', '[server.js]'],
    ] as const) {
      assert.match(
        await args(written),
        new RegExp(`: write it as a list, \`${list.replaceAll(/[[\].]/g, '\\$&')}\`$`),
      );
      const loaded = await loadFiles({
        'connections.yaml': `connections: { a: { kind: cli, command: node, args: ${list} } }`,
      });
      assert.equal(loaded.status, 'loaded');
    }
  });

  test('names tools in their entries where they were written as a mapping, however long', async () => {
    for (const more of ['', `, description: ${'x'.repeat(90)}`]) {
      const mapping = `{ erp.a: { tier: read_only, executor: { kind: noop }${more} } }`;
      const yaml = await told({ 'tools/a.yaml': `tools: ${mapping}` });
      assert.match(
        yaml,
        /^expected a list, not .*: write it as a list, each with its `name` in it, `- name: erp\.a`$/,
      );
    }
    const json = await told({ 'tools/a.json': '{"tools": {"erp.a": {"tier": "read_only"}}}' });
    assert.match(json, /`\[\{"name": "erp\.a", …\}\]`$/);
    const single = await told({ 'tools/a.yaml': 'tools: { name: a, executor: { kind: noop } }' });
    assert.match(single, /write it as a list, `\[\{"name":"a","executor":\{"kind":"noop"\}\}\]`$/);
  });

  test('of types in a schema names those there are, and the quotes of "null"', async () => {
    const tool = (schema: string): Readonly<Record<string, string>> => ({
      'tools/a.yaml': `tools: [{ name: a, tier: read_only, executor: { kind: noop }, inputSchema: { type: object, properties: { days: ${schema} } } }]`,
    });
    for (const schema of [
      '{ type: [string, null] }',
      '{ type: null }',
      '{ anyOf: [{ type: string }, { type: null }] }',
    ])
      assert.match(await told(tool(schema)), /: null is no type: write it in quotes, `"null"`$/, schema);
    assert.match(
      await told(tool('{ type: int }')),
      /`\/properties\/days\/type`: `int` is no type: the types are array, boolean, integer, /,
    );
    assert.equal((await loadFiles(tool('{ type: [string, "null"] }'))).status, 'loaded');
  });
});

describe('advice that shows a value of another type', () => {
  const rows: readonly (readonly [document: string, written: string, advised: string])[] = [
    [gate('timeout: %'), '3d', '{ after: 3d }'],
    [charterGate('timeout: %'), '3d', '{ after: 3d }'],
    [gate('timeout: %'), '2099-12-24T18:00:00+01:00', '{ at: 2099-12-24T18:00:00+01:00 }'],
    [gate('timeout: { after: 1h, action: escalate, to: [c.d], then: % }'), '3d', '{ after: 3d }'],
    [gate('timeout: { after: 1h, action: escalate, to: % }'), 'c.d', '[c.d]'],
    [gate('timeout: { after: 1h }, reminders: %'), '0.5', '[0.5]'],
    [gate('timeout: { after: 1h }, quorum: %'), '2', '{ count: 2 }'],
    [roles, 'release.manager', '[release.manager]'],
    [roles, '"finance, legal"', '[finance, legal]'],
    [roles, '3.10', '["3.10"]'],
    [roles, '"3"', '["3"]'],
    [executor, 'noop', '{ kind: noop }'],
    [executor, 'human', '{ kind: human }'],
    [reliability, '3s', '{ timeout: 3s }'],
    [withStates('a: { terminal: true }', 'timeout: 1h\nonTimeout: %'), 'a', '{ target: a }'],
    [withTransition('guards: %'), '{ kind: role, role: x }', '[{"kind":"role","role":"x"}]'],
    [withStates('a: { terminal: true }', 'tags: %'), 'x', '[x]'],
    [withTransition('title: %'), '1e3', '"1e3"'],
  ];
  for (const [document, written, advised] of rows)
    test(`loads: ${advised} for ${written}`, () => {
      const message = messageOf(document, written);
      assert.ok(message.endsWith(`\`${advised}\``), message);
      assert.deepEqual(problemsOf(document, advised), []);
    });

  for (const [document, written] of rows)
    test(`is JSON in a JSON text, and loads: for ${written} in ${placeIn(document)}`, () => {
      const json = JSON.stringify(parse(document.replace('%', '"%"'))).replace('"%"', '%');
      const message = messageOf(json, JSON.stringify(parse(written)), 'json');
      const advised = /: write it as .*`(.+)`$/.exec(message)?.[1] ?? message;
      assert.deepEqual(problemsOf(json, advised, 'json'), []);
    });
});

describe('a text that has a form of its own, written as a number or a boolean,', () => {
  const documents = [
    gate('timeout: { after: % }'),
    gate('timeout: { at: % }'),
    withStates('a: { terminal: true }', 'timeout: %'),
    reliability.replace('%', '{ timeout: % }'),
  ];
  for (const document of documents)
    for (const written of ['3', '1.50', 'true'])
      test(`is told that form, which loads, and nothing of quotes: ${written} in ${placeIn(document)}`, () => {
        const [shown, ...forms] = namesIn(messageOf(document, written));
        assert.equal(shown, written);
        assert.ok(forms.length > 0);
        for (const form of forms) {
          // The time that is shown as an example has passed one day.
          const later = form.replace(/^\d{4}-/, '2099-');
          assert.deepEqual(problemsOf(document, later), [], form);
        }
      });
});

describe('where nothing shows what the author meant,', () => {
  const stage = ['after', 'at', 'hours', 'action', 'to', 'then'];
  const quorum = ['count', 'perRole'];
  const rows: readonly (readonly [document: string, written: string, keys: readonly string[]])[] = [
    [gate('timeout: %'), '3', stage],
    [gate('timeout: %'), '[3d]', stage],
    [gate('timeout: %'), 'deny', stage],
    [gate('timeout: %'), '{ denied: 3d }', stage],
    [gate('quorum: %'), 'all', quorum],
    [gate('quorum: %'), '{ people: 2 }', quorum],
    [charterGate('timeout: %'), '3', stage],
    [charterGate('separation: %'), 'requester', ['requester', 'author', 'promoter', 'approvers']],
    [gate('separation: %'), 'requester', ['requester', 'author', 'promoter', 'approvers']],
    [
      withTransition('output: { x: % }'),
      '{ plus: [1, 2] }',
      ['set', 'add', 'subtract', 'multiply', 'divide', 'concat'],
    ],
    [executor, '{ kind: noop, quiet: true }', ['kind', 'output', 'reliability', 'evidence']],
  ];
  for (const [document, written, keys] of rows)
    test(`the keys are listed, and each is taken there: ${written} in ${placeIn(document)}`, () => {
      const [, list = ''] = messageOf(document, written).split(': the keys here are ');
      assert.deepEqual(namesIn(list), keys);
      for (const key of keys)
        assert.ok(
          problemsOf(document, `{ ${key}: x }`).every(({ code }) => code !== 'UNKNOWN_KEY'),
          key,
        );
    });

  for (const of of [gate, charterGate])
    test(`a key of the gate that stands too deep is told to stand beside: ${placeIn(of('timeout: %'))}`, () => {
      const [problem] = problemsOf(of('timeout: %'), '{ approver_role: a.b }');
      assert.match(problem?.message ?? '', /^unknown key `approver_role` here: it stands beside `timeout`/);
    });

  for (const [document, written] of [
    [withTransition('output: { x: { add: % } }'), 'x'],
    [roles, '""'],
    [withTransition('guards: [{ kind: evidence, requires: % }]'), '""'],
  ] as const)
    test(`nothing is said of the length of a text that is no list: ${written} in ${placeIn(document)}`, () => {
      assert.equal(messageOf(document, written), `expected a list, not \`"${written.replaceAll('"', '')}"\``);
    });

  test('the kinds are listed, and each is known there', () => {
    const document = withTransition('guards: [%]');
    const [, list = ''] = messageOf(document, 'release.manager').split(': the kinds here are ');
    const kinds = namesIn(list);
    assert.ok(kinds.includes('permission') && kinds.includes('anyOf'), list);
    for (const kind of kinds)
      assert.ok(
        problemsOf(document, `{ kind: ${kind} }`).every(({ code }) => code !== 'UNKNOWN_KIND'),
        kind,
      );
  });
});

describe('advice that is followed to the letter', () => {
  const on = (written: string): string => gate(`on: ${written}`);
  const guard = withTransition('guards: [%]');
  const comparisons = `{ kind: expr, expr: '$.context.a == "x"' }, { kind: not, guard: { kind: expr, expr: '$.context.b > 8' } }`;
  /** The form that the message shows, with its gaps filled. */
  const filled = (message: string): string =>
    (/`(\{ ?"?kind"?: .*\})`/.exec(message)?.[1] ?? message)
      .replace("[{ kind: expr, expr: '…' }, …]", `[${comparisons}]`)
      .replace('[{"kind": "expr", "expr": "…"}, …]', '[{"kind": "expr", "expr": "$.context.b > 8"}]')
      .replace('…', '$.context.b > 8');

  const combined: readonly (readonly [document: string, written: string, kind: string])[] = [
    [on('%'), '"$.context.a > 7 && $.context.b > 8"', 'allOf'],
    [on('%'), '"$.context.a > 7 || $.context.b > 8"', 'anyOf'],
    [on('%'), '"$.context.a in [crm, hr]"', 'anyOf'],
    [on('%'), `'$.context.a contains ["crm","hr"]'`, 'anyOf'],
    [on('%'), '"$.context.a not in [crm, hr]"', 'allOf'],
    [on('%'), '{ allOf: ["$.context.a > 7"] }', 'allOf'],
    [on('%'), '{ not: "$.context.a > 7" }', 'not'],
    [on('%'), '["$.context.a > 7", "$.context.b > 8"]', 'allOf'],
    [guard, '{ anyOf: [{ kind: role, role: x }] }', 'anyOf'],
  ];
  for (const [document, written, kind] of combined)
    test(`loads: the whole form of \`${kind}\` for ${written}`, () => {
      const form = filled(messageOf(document, written));
      assert.ok(form.startsWith(`{ kind: ${kind}, `), form);
      assert.deepEqual(problemsOf(document, form), []);
    });

  test('loads: the whole form of `not` and `allOf`, as JSON in a JSON text', () => {
    const json = JSON.stringify(parse(on('"%"'))).replace('"%"', '%');
    for (const written of ['{"not": "$.context.a > 7"}', '["$.context.a > 7"]']) {
      const form = filled(messageOf(json, written, 'json'));
      assert.match(form, /^\{"kind": /);
      assert.deepEqual(problemsOf(json, form, 'json'), []);
    }
  });

  for (const [document, written] of [
    [guard, '"$.context.a > 7"'],
    [withTransition('guards: %'), '"$.context.a > 7"'],
    [on('{ kind: allOf, guards: [%] }'), '"$.context.a > 7"'],
    [on('{ kind: not, guard: % }'), `"$.context.a == 'x'"`],
  ] as const)
    test(`loads: a comparison as a guard, for ${written} in ${placeIn(document)}`, () => {
      const form = /: write it as a guard, `(.+)`$/.exec(messageOf(document, written))?.[1] ?? '';
      assert.deepEqual(problemsOf(document, form), []);
    });

  test('loads: a gate without `on` where it always asks, and none where it never does', () => {
    for (const written of ['true', 'always', '"true"', 'yes'])
      assert.match(messageOf(on('%'), written), /: leave `on` out, and the gate asks each time$/);
    for (const written of ['false', 'never'])
      assert.match(messageOf(on('%'), written), /: a gate that never asks is left out$/);
    assert.deepEqual(problemsOf(gate('quorum: { count: 1 }'), ''), []);
    assert.deepEqual(problemsOf(withTransition('title: x'), ''), []);
  });

  test('loads: a word in quotes, and `contains` with its sides exchanged', () => {
    const document = withTransition(
      'inputSchema: { type: object, properties: { database: { type: string } } }\ngate: { approver_role: a.b, on: % }',
    );
    const message = messageOf(document, '$.arguments.database == crm');
    assert.match(message, /: if the text is meant, put it in quotes, `"crm"`$/);
    assert.deepEqual(problemsOf(document, `'$.arguments.database == "crm"'`), []);
    assert.match(
      messageOf(document, `'"crm" in $.arguments.database'`),
      /`contains` with its two sides exchanged/,
    );
    assert.deepEqual(problemsOf(document, `'$.arguments.database contains "crm"'`), []);
  });

  const texts: readonly (readonly [
    how: string,
    document: string,
    written: string,
    says: RegExp,
    followed: string,
  ])[] = [
    [
      'a text that begins with `@`',
      withTransition('title: %'),
      '@platform',
      /: put the text in quotes$/,
      '"@platform"',
    ],
    [
      'braces in a mapping in braces',
      withTransition(
        'inputSchema: { type: object, properties: { a: { type: string } } }\ntier: reversible\nexecutor: { kind: rest, connection: payroll, method: PUT, path: %, body: {} }',
      ),
      '/grants/{$.arguments.a}',
      /put a text that holds a comma, a brace or a bracket in quotes$/,
      '"/grants/{$.arguments.a}"',
    ],
    [
      'a missing comma',
      withTransition('inputSchema: { type: object, properties: { a: % } }'),
      '{ type: string minLength: 1 }',
      /put a comma before each further `name: value`/,
      '{ type: string, minLength: 1 }',
    ],
    [
      'a space too few',
      withTransition('%'),
      'title: x\n         description: y',
      /same column: indent this line/,
      'title: x',
    ],
    [
      'a space too many',
      withTransition('%'),
      'title: x\n             description: y',
      /begin both at the same column$/,
      'title: x',
    ],
  ];
  for (const [how, document, written, says, followed] of texts)
    test(`loads: ${how}`, () => {
      assert.match(messageOf(document, written), says);
      assert.deepEqual(problemsOf(document, followed), []);
    });

  test('loads: flows under their names, where they were written as a list', async () => {
    const flow = 'owner: t, initialState: a, states: { a: { terminal: true } }';
    const files = { 'flows/a.yaml': `workflows: [{ name: access, ${flow} }]` };
    const listed = await loadFiles(files);
    assert.ok(listed.status === 'invalid');
    const [first] = listed.errors;
    assert.match(first?.message ?? '', /: write each under its name, without `name` in it, `access: \{…\}`$/);
    const named = await loadFiles({ 'flows/a.yaml': `workflows: { access: { ${flow} } }` });
    assert.equal(named.status, 'loaded', JSON.stringify(named));
  });
});
