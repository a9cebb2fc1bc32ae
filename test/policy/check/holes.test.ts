import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { checkFlowText, type FlowCheck, type FolderResult } from '../../../src/policy/index.js';
import { loadFiles } from '../load.js';

// A hole is filled in a summary, a consequence and the path of a rest call. Anywhere else a text with a hole does not load: it
// would be sent, shown or compared as it is written.

const erp = '{ kind: rest, baseUrl: https://erp.example }';
const command = '{ kind: cli, command: ls }';

function load(files: Readonly<Record<string, string>>): Promise<FolderResult> {
  const connections = `connections: { erp: ${erp}, tools: { kind: mcp, url: https://erp.example }, shell: ${command} }`;
  return loadFiles({ 'connections.yaml': connections, ...files });
}

const schema = 'inputSchema: { type: object, properties: { u: { type: string } } }';
const tool = (executor: string, more = ''): Readonly<Record<string, string>> => ({
  'tools/t.yaml': `tools: [{ name: t, tier: reversible, ${schema}, ${more} executor: ${executor} }]`,
});
const flow = (open: string, more = ''): Readonly<Record<string, string>> => ({
  'flows/f.yaml': `workflows: { f: { owner: t, initialState: open, ${more} states: { open: ${open}, done: { terminal: true } } } }`,
});
const step = (more: string): Readonly<Record<string, string>> =>
  flow(`{ transitions: { go: { target: done, ${schema}, ${more} } } }`);
const connection = (target: string): Readonly<Record<string, string>> => ({
  'connections.yaml': `connections: { one: ${target} }`,
});
const post = (more: string): string => `{ kind: rest, connection: erp, method: POST, path: /x, ${more} }`;

/** Where no hole is filled, with `HERE` for the text. */
const places: Readonly<Record<string, Readonly<Record<string, string>>>> = {
  "a command's argument": tool('{ kind: cli, connection: shell, args: [HERE] }'),
  "a command's stdin": tool('{ kind: cli, connection: shell, stdin: HERE }'),
  'a query': tool(post('query: { q: HERE }')),
  'the name of a query': tool(post('query: { HERE: x }')),
  'a header': tool(post('headers: { X-A: HERE }')),
  'a body, deep in it': tool(post('body: { a: [{ b: HERE }] }')),
  'a name in a body': tool(post('body: { a: { HERE: 1 } }')),
  "an MCP tool's arguments": tool('{ kind: mcp, connection: tools, tool: x, map: { a: HERE } }'),
  "an MCP tool's name": tool('{ kind: mcp, connection: tools, tool: HERE }'),
  'an output that is written down': tool('{ kind: noop, output: { a: HERE } }'),
  'a fallback': tool(
    post(`reliability: { fallback: { strategy: first_success, executors: [${post('body: { a: HERE }')}] } }`),
  ),
  'a title': tool('{ kind: noop }', 'title: HERE,'),
  'a mapping': step('output: { a: HERE }'),
  'a mapping that sets a value': step('output: { a: { set: { b: HERE } } }'),
  'a mapping that joins texts': step('output: { a: { concat: [HERE, x] } }'),
  'a prefill': step('prefill: { u: HERE }'),
  'a queue': step('executor: { kind: human, queue: HERE }'),
  "a gate's role": step('gate: { roles: [HERE] }'),
  'an initial context': flow('{ transitions: { go: { target: done } } }', 'initialContext: { a: HERE },'),
  "a connection's header": connection('{ kind: rest, baseUrl: https://a.example, headers: { X-A: HERE } }'),
  "a connection's argument": connection('{ kind: cli, command: ls, args: [HERE] }'),
  "a connection's variable": connection('{ kind: mcp, command: ls, env: { A: HERE } }'),
};

const errors = (result: FolderResult): readonly string[] =>
  result.status === 'invalid' ? result.errors.map((finding) => `${finding.code} ${finding.message}`) : [];
const withText = (files: Readonly<Record<string, string>>, text: string): Readonly<Record<string, string>> =>
  Object.fromEntries(
    Object.entries(files).map(([name, held]) => [name, held.replace('HERE', JSON.stringify(text))]),
  );

describe('a hole where none is filled', () => {
  for (const [place, files] of Object.entries(places))
    it(`does not load in ${place}, and is told`, async () => {
      const told = errors(await load(withText(files, '--user={$.arguments.u}')));
      assert.equal(told.length, 1, told.join('\n'));
      assert.match(told[0] ?? '', /nothing is filled in here/);
      assert.deepEqual(errors(await load(withText(files, 'plain'))), []);
    });

  it('counts without its braces too, or with more of them, and the message says what to write', async () => {
    const files = tool('{ kind: cli, connection: shell, args: [HERE] }');
    for (const text of ['--user=$.arguments.u', '{{ $.arguments.u }}', ' $.arguments.u', '${$.context.u}']) {
      const [told = ''] = errors(await load(withText(files, text)));
      assert.match(told, /^PATH_INVALID .*write `\$\.(arguments|context)\.u` and nothing else/, text);
    }
  });

  it('does not load as the text that a guard compares with', async () => {
    const files = step(`guards: [{ kind: expr, expr: "$.arguments.u == 'x{$.context.a}'" }]`);
    const [told = ''] = errors(await load(files));
    assert.match(told, /^EXPRESSION_INVALID .*nothing is filled in here/);
  });

  it('is no dollar sign and no brace of another language', async () => {
    const files = tool('{ kind: cli, connection: shell, args: [HERE] }');
    for (const text of ['{.items[0].name}', '$HOME', '{"a": 1}', 'query { a(b: $b) { c } }'])
      assert.deepEqual(errors(await load(withText(files, text))), [], text);
  });
});

describe('a template of another notation, which would be sent as it stands', () => {
  const warnings = (result: FolderResult): readonly string[] => {
    assert.deepEqual(errors(result), []);
    return result.warnings.flatMap(({ code, message }) => (code === 'TEMPLATE_NOT_FILLED' ? [message] : []));
  };
  const said = async (files: Readonly<Record<string, string>>, text: string): Promise<readonly string[]> =>
    warnings(await load(withText(files, text)));
  const body = tool(post('body: { a: [{ b: HERE }] }'));

  it('is warned of wherever none is filled, with what to write', async () => {
    const nowhere = ["a gate's role", 'a queue', "an MCP tool's name"];
    for (const [place, files] of Object.entries(places)) {
      if (nowhere.includes(place) || place.startsWith("a connection's")) continue;
      const [told = '', more] = await said(files, 'u {{arguments.u}}');
      assert.match(told, /^`\{\{arguments\.u\}\}` would be taken as it is written, since nothing is/, place);
      assert.equal(more, undefined, place);
    }
  });

  const templates: Readonly<Record<string, string>> = {
    '{{arguments.u}}': '$.arguments.u',
    'for {{ arguments.u }}!': '$.arguments.u',
    '{{ .arguments.u }}': '$.arguments.u',
    '{{{arguments.u}}}': '$.arguments.u',
    '{{arguments.u | upper}}': '$.arguments.u',
    '${arguments.u}': '$.arguments.u',
    '${{ arguments.u }}': '$.arguments.u',
    '#{arguments.u}': '$.arguments.u',
    '{arguments.u.v}': '$.arguments.u.v',
    '{$arguments.u}': '$.arguments.u',
    '$arguments.u': '$.arguments.u',
    '$arguments["u"]': '$.arguments.u',
    "{{arguments['u']}}": '$.arguments.u',
    'arguments.u': '$.arguments.u',
    '{{context.case}}': '$.context.case',
    '${workflow.input.case}': '$.workflow.input.case',
    '${{ input.case }}': '$.workflow.input.case',
    '{u}': '$.arguments.u',
    'users/{u}': '$.arguments.u',
    '{{u}}': '$.arguments.u',
    '${u}': '$.arguments.u',
    '${{ u }}': '$.arguments.u',
    '{$u}': '$.arguments.u',
  };
  for (const [text, meant] of Object.entries(templates))
    it(`is seen: ${text}`, async () => {
      const [told = '', more] = await said(body, text);
      assert.ok(told.endsWith(`write \`${meant}\` and nothing else`), told);
      assert.equal(more, undefined);
    });

  it('is told in a path and a sentence, where a value stands in braces', async () => {
    const path = tool('{ kind: rest, connection: erp, method: POST, path: HERE }');
    for (const text of ['/users/:u', '/users/:u/x', '/:u?a=1', '/users/$arguments.u'])
      assert.match(
        (await said(path, text))[0] ?? text,
        /in braces, as a path: write `\{\$\.arguments\.u\}`$/,
      );
    for (const text of ['/users/:v', '/users:u', '/a/:users', '/{$.arguments.u}'])
      assert.deepEqual(await said(path, text), [], text);
    const summary = tool('{ kind: noop }', 'summary: HERE,');
    assert.match((await said(summary, 'pays $arguments.u'))[0] ?? '', /write `\{\$\.arguments\.u\}`$/);
  });

  it('is no ordinary text with braces and dollars', async () => {
    for (const text of [
      ...[
        '$5',
        'costs $5.00 {or less}',
        '{json}',
        '{"a": 1}',
        '{{name}}',
        '${HOME}',
        '$HOME/{v}',
        '${{ v }}',
      ],
      ...[
        '{.items[0].name}',
        'query { a(b: $b) { c } }',
        'query($u: ID) { user(id: $u) { u } }',
        '# why\n{ user(u: 1) {u} }',
        '$u',
        'a: u',
      ],
      ...['mutation{close(u:$u){u}}', '{ user(u: 1) {u} }', 'context.io', 'input.txt', 'arguments.length'],
      ...['my arguments. Yours', '{arguments}', '$argument.u', '$context', 'a.$contexts.u', '{ u }', '/:u'],
    ])
      assert.deepEqual(await said(body, text), [], text);
  });

  it('does not repeat a credential', async () => {
    const [told = ''] = await said(body, `\${arguments.u}:ghp_${'a1B2'.repeat(9)}`);
    assert.match(told, /^this text would be taken/);
  });

  it('is looked for in linear time', { timeout: 60_000 }, async () => {
    // A name that could end at each letter took 10 s and more.
    for (const text of ['{input.', '{{arguments.u', '${', '{input.a '])
      for (const more of ['a', '.a', ' '])
        assert.deepEqual(await said(body, text + more.repeat(400_000 / more.length)), [], text + more);
    assert.deepEqual(await said(body, `query {a} ${'{u}'.repeat(100_000)}`), []);
  });

  it('refuses no flow that was published before, and a new one only where the environment refuses warnings', async () => {
    const text = `workflows: { f: { owner: t, initialState: open, states: { open: { transitions: { go: { target: done, ${schema}, tier: reversible, executor: { kind: noop, output: { a: '{{u}}' } } } } }, done: { terminal: true } } } }`;
    const folder = await load({ 'environments.yaml': 'environments: { dev: { refuseWarnings: true } }' });
    assert.ok(folder.status === 'loaded');
    const { catalog } = folder;
    const codes = ({ status, ...found }: FlowCheck): readonly string[] => [
      status,
      ...('errors' in found ? found.errors : []).map(({ code }) => code),
    ];
    assert.deepEqual(codes(checkFlowText(text, { catalog })), ['invalid', 'TEMPLATE_NOT_FILLED']);
    assert.deepEqual(codes(checkFlowText(text, { catalog, isPublished: true })), ['valid']);
  });
});

describe('what no system passes to a command', () => {
  const long = 'x'.repeat(131_072);
  const cases: Readonly<Record<string, readonly [Readonly<Record<string, string>>, string, RegExp]>> = {
    'an argument over 128 KiB': [
      places["a command's argument"] ?? {},
      long,
      /the argument is 131072 bytes, and a system passes 131071 at most/,
    ],
    'an argument with a NUL character': [
      places["a command's argument"] ?? {},
      'a\0b',
      /the text holds the character U\+0000: take it out/,
    ],
    "a connection's argument over 128 KiB": [
      places["a connection's argument"] ?? {},
      long,
      /`args\/0` is 131072 bytes/,
    ],
    "a connection's variable over 128 KiB with its name": [
      places["a connection's variable"] ?? {},
      'x'.repeat(131_070),
      /`env\/A` is 131072 bytes/,
    ],
    "a connection's argument with a NUL character": [
      places["a connection's argument"] ?? {},
      '\0',
      /the text holds the character U\+0000: take it out/,
    ],
  };
  for (const [what, [files, text, why]] of Object.entries(cases))
    it(`does not load: ${what}`, async () => {
      const [told = ''] = errors(await load(withText(files, text)));
      assert.match(told, why);
    });

  it('does not load: more arguments or variables together than a connection may have', async () => {
    const many = Array.from({ length: 3 }, () => JSON.stringify('x'.repeat(100_000))).join(', ');
    const [told = ''] = errors(await load(connection(`{ kind: cli, command: ls, args: [${many}] }`)));
    assert.match(told, /^CONNECTION_INVALID .*`args` takes 300027 bytes, and 262144 are the most/);
    const wide = Array.from({ length: 6 }, (_, at) => `A${at}: ${'x'.repeat(100_000)}`).join(', ');
    const [env = ''] = errors(await load(connection(`{ kind: mcp, command: ls, env: { ${wide} } }`)));
    assert.match(env, /`env` takes 600072 bytes, and 524288 are the most/);
    const odd = errors(await load(connection('{ kind: cli, command: ls, env: { "A=B": x } }')));
    assert.match(odd[0] ?? '', /`A=B` is no name of a variable/);
  });
});
