// A kind of executor is its folder and a line in two tables, and no other file knows of it.
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import {
  appendFileSync,
  cpSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join, relative, resolve } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { promisify } from 'node:util';
import { kinds } from '../../src/executors/find-kind.js';
import * as drivers from '../../src/executors/drivers.js';
import { projectRoot } from '../../testing/paths.js';
import { writeFiles } from '../../testing/files.js';

const src = join(projectRoot, 'src');
const sourceFiles = readdirSync(src, { recursive: true, encoding: 'utf8' }).filter((name) =>
  name.endsWith('.ts'),
);
const textOf = (file: string): string => readFileSync(join(src, file), 'utf8');
const names = kinds.map(({ kind: name }) => name);

/** Words that are written like a kind's name and mean something else, by what stands in their line. */
const otherMeanings: readonly RegExp[] = [
  // The door that a decision came through (`decisionDoors`): the API itself, or the CLI.
  /decisionDoors|DecisionDoor|\bvia: 'rest'|countersign-cli/,
];

test('no file outside their folders names a kind', () => {
  const name = new RegExp(`['"\`](?:${names.join('|')})['"\`]`);
  const own = new RegExp(`^executors/(?:${names.join('|')})/`);
  const found = sourceFiles
    .filter((file) => !own.test(file))
    .flatMap((file) =>
      textOf(file)
        .split('\n')
        .map((line, index) => ({ at: `${file}:${index + 1}`, line })),
    )
    .filter(({ line }) => name.test(line) && !otherMeanings.some((meaning) => meaning.test(line)));
  assert.deepEqual(found, []);
});

test('every kind has a driver of the same name', () => {
  assert.deepEqual(
    Object.values(drivers)
      .map(({ kind }) => kind)
      .sort(),
    [...names].sort(),
  );
});

test('what a kind is leads to no driver, no client and no file of Node’s', () => {
  const seen = new Set<string>();
  const packages = new Set<string>();
  const open = ['executors/kinds.ts', 'executors/build.ts', 'executors/effects.ts', 'executors/preview.ts'];
  for (let file = open.pop(); file !== undefined; file = open.pop()) {
    if (seen.has(file)) continue;
    seen.add(file);
    for (const [, typed, from = ''] of textOf(file).matchAll(
      /^(?:import|export) (type )?[^;]*?from '([^']+)';/gms,
    )) {
      if (typed !== undefined) continue;
      if (from.startsWith('.'))
        open.push(relative(src, resolve(src, dirname(file), from)).replace(/\.js$/, '.ts'));
      else packages.add(from);
    }
  }
  assert.deepEqual([...packages].sort(), ['yaml', 'zod']);
  const reached = [...textOf('executors/drivers.ts').matchAll(/'\.\/([^']+)\.js'/g)]
    .map(([, path]) => `executors/${path}.ts`)
    .filter((path) => seen.has(path));
  assert.deepEqual(reached, []);
});

const policies = {
  'connections.yaml':
    'connections: { cave: { kind: echo, cave: "env://CAVE", headers: { token: "env://CAVE_TOKEN" } } }\n',
  'environments.yaml': 'environments: { dev: {} }\n',
  'roles.yaml': 'roles: { boss: }\n',
  'flows/shout.yaml': `workflows:
  shout:
    owner: team
    initialState: quiet
    initialContext: { where: here, heard: null }
    states:
      quiet:
        transitions:
          shout:
            target: heard
            tier: irreversible
            inputSchema: { type: object, required: [what], properties: { what: { type: string } } }
            gate: { roles: [boss], timeout: { after: 1h } }
            executor:
              kind: echo
              connection: cave
              says: $.arguments.what
              reliability: { fallback: { strategy: first_success, executors: [{ kind: echo, connection: cave, says: $.context.where }] } }
            output: { heard: $.output.said }
      heard:
        transitions:
          settle: { target: done, guards: [{ kind: evidence, requires: [echo_heard] }] }
      done: { terminal: true }
`,
};
const wrong = {
  ...policies,
  'connections.yaml': `connections:
  cave: { kind: echo, cave: "secret://cave" }
  bank: { kind: rest, baseUrl: "https://bank.example" }
`,
  'flows/shout.yaml': `workflows:
  shout:
    owner: team
    initialState: quiet
    states:
      quiet: { transitions: { shout: { target: heard, tier: reversible, executor: { kind: echo, connection: cave, says: x, loudness: 3 } } } }
      heard: { transitions: { again: { target: heard, tier: read_only, executor: { kind: ehco, connection: cave, says: x } } } }
  whisper:
    owner: team
    initialState: quiet
    states:
      quiet: { transitions: { whisper: { target: done, tier: reversible, executor: { kind: echo, connection: bank, says: 1.50 } } } }
      done: { terminal: true }
`,
};

describe('a kind that is added by its folder and a line in each table', () => {
  let home: string;
  let told: Record<string, unknown>;

  before(async () => {
    home = mkdtempSync(join(tmpdir(), 'countersign-kinds-'));
    for (const path of [
      'src',
      'scripts',
      'lint',
      'ARCHITECTURE.md',
      'package.json',
      'tsconfig.json',
      'test/executors/fixtures/new-kind.ts',
    ])
      cpSync(join(projectRoot, path), join(home, path), { recursive: true });
    symlinkSync(join(projectRoot, 'node_modules'), join(home, 'node_modules'));
    const fixture = join(projectRoot, 'test/executors/fixtures/echo');
    const folder = join(home, 'src/executors/echo');
    mkdirSync(folder);
    for (const name of readdirSync(fixture)) {
      const text = readFileSync(join(fixture, name), 'utf8');
      writeFileSync(join(folder, name), text.replaceAll('../../../../src/', '../../'));
    }
    appendFileSync(join(home, 'src/executors/kinds.ts'), `export { echo } from './echo/kind.js';\n`);
    appendFileSync(join(home, 'src/executors/drivers.ts'), `export { echo } from './echo/echo.js';\n`);
    const folders = [policies, wrong].map((files, index) => written(join(home, `policies-${index}`), files));
    const argv = ['--import', 'tsx', 'test/executors/fixtures/new-kind.ts', ...folders];
    const { stdout } = await promisify(execFile)(process.execPath, argv, { cwd: home });
    told = JSON.parse(stdout) as Record<string, unknown>;
    assert.equal(told['errors'], undefined, JSON.stringify(told['errors']));
  });
  after(() => rmSync(home, { recursive: true, force: true }));

  test('needs no line in the lists of rooms and folders', async () => {
    await promisify(execFile)(process.execPath, ['scripts/doors.mjs', '--check'], { cwd: home });
  });

  test('stands in the schemas that editors complete with', () => {
    assert.deepEqual(told['schemas'], [
      'connections.schema.json',
      'tools.schema.json',
      'flows.schema.json',
      'mixed.schema.json',
    ]);
  });

  test('is loaded from YAML, and its evidence is known to guards', () => {
    const path = (text: string, scope: string, name: string) => ({
      ...{ kind: 'path', scope, segments: [name], optional: false, text },
    });
    assert.deepEqual(told['executor'], {
      kind: 'echo',
      connection: 'cave',
      says: path('$.arguments.what', 'arguments', 'what'),
      idempotencyKey: false,
    });
    assert.deepEqual(told['warnings'], ['RETRY_NOT_IDEMPOTENT']);
  });

  test('is checked: its keys, its connection, its texts', () => {
    assert.deepEqual(told['mistakes'], [
      'SECRET_REFERENCE: `cave` is shown and bound by approvals, so it is no secret: write `env://NAME` or the address, and the secret into `headers`',
      'UNKNOWN_KEY: unknown key `loudness`: the keys here are `kind`, `connection`, `says`, `idempotencyKey`, `reliability`, `evidence`',
      'UNKNOWN_KIND: unknown kind `"ehco"`: use one of `rest`, `mcp`, `echo`, `cli`, `human`, `noop`: did you mean `echo`?',
      'CONNECTION_KIND: connection `bank` is of kind `rest`, and this executor of kind `echo`',
      'WRONG_VALUE: the number `1.50` would be sent as `1.5`: write it as text, `"1.50"`',
    ]);
  });

  test('is taken to change something, unless its author says that it does not', () => {
    assert.deepEqual(told['effect'], [true, false]);
  });

  test('is shown to whoever approves it, and what it reads is bound', () => {
    assert.deepEqual(told['card'], {
      ...{ kind: 'echo', connection: 'cave', says: 'hello' },
      fallbacks: [{ kind: 'echo', connection: 'cave', says: 'here' }],
    });
    assert.deepEqual(Object.keys(told['reads'] as object), ['$.context.where']);
  });

  test('waits at its gate, and is executed once it is approved', () => {
    assert.deepEqual(told['approvals'], [['open', 'shout']]);
    assert.deepEqual(told['sends'], {
      ...{ transition: 'shout', kind: 'echo', connection: 'cave', idempotencyKey: null },
      ...{ call: 'the echo', sends: 'hello', unresolved: null },
    });
    assert.deepEqual(told['end'], ['running', 'heard', 'hello', ['human_request', 'echo_heard']]);
  });

  test('is called over its connection, whose secret is masked in what comes back', () => {
    const { masked: _places, ...result } = told['result'] as { readonly masked: unknown };
    const output = { said: 'hello', cave: 'cave.example', headers: { token: '[redacted]' } };
    assert.deepEqual(result, {
      used: { kind: 'echo', cave: 'cave.example', headers: { token: 'env://CAVE_TOKEN' } },
      ...{ status: 'succeeded', output, response: output, evidence: ['echo_heard'] },
    });
  });

  test('is named where two versions are compared', () => {
    assert.equal(told['words'], 'calls into `cave`');
  });
});

function written(root: string, files: Readonly<Record<string, string>>): string {
  writeFiles(root, files);
  return root;
}
