import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { dirname, join, relative, resolve } from 'node:path';
import { test } from 'node:test';
import { Ajv2020, type ValidateFunction } from 'ajv/dist/2020.js';
import { parse } from 'yaml';
import { schemas } from '../../scripts/schemas.js';
import { projectRoot } from '../../testing/paths.js';

// What an editor says of a policy file is what the loader says, as far as JSON Schema can say it.

const folder = join(projectRoot, 'schemas');

const made = new Map<string, ValidateFunction>();

function validator(name: string): ValidateFunction {
  const validate = made.get(name) ?? makeValidator(name);
  made.set(name, validate);
  return validate;
}

function makeValidator(name: string): ValidateFunction {
  const schema: unknown = JSON.parse(readFileSync(join(folder, `${name}.schema.json`), 'utf8'));
  return new Ajv2020({ strict: true, strictRequired: false, strictTypes: false, allErrors: false }).compile(
    schema as object,
  );
}

test('the schemas that are checked in are what the shapes say', () => {
  const made = schemas();
  assert.deepEqual(readdirSync(folder).sort(), [...made.keys()].sort());
  for (const [name, schema] of made) {
    const present: unknown = JSON.parse(readFileSync(join(folder, name), 'utf8'));
    assert.deepEqual(
      present,
      JSON.parse(JSON.stringify(schema)),
      `${name} is stale: run \`npm run schemas\``,
    );
  }
});

const shipped = ['policies', 'bench/policies'].flatMap((root) =>
  readdirSync(join(projectRoot, root), { recursive: true })
    .map((path) => join(projectRoot, root, String(path)))
    .filter((path) => /\.(ya?ml|json)$/.test(path)),
);

test('there is something shipped to look at', () => assert.ok(shipped.length >= 9));

for (const path of shipped) {
  const name = relative(projectRoot, path);
  test(`${name} fits the schema that it names, and the one of its kind`, () => {
    const text = readFileSync(path, 'utf8');
    const kind = kindOf(path);
    if (path.endsWith('.json')) assert.ok(!text.includes('$schema'), 'a JSON flow names none');
    else {
      const [, written] = /^# yaml-language-server: \$schema=(\S+)\n/.exec(text) ?? [];
      assert.equal(resolve(dirname(path), written ?? ''), join(folder, `${kind}.schema.json`));
    }
    const value: unknown = parse(text);
    for (const name of kind === 'tests' ? ['tests'] : [kind, 'mixed']) {
      const check = validator(name);
      assert.ok(check(value), `${name}: ${JSON.stringify(check.errors)}`);
    }
  });
}

function kindOf(path: string): string {
  const place = dirname(path).split('/').at(-1) ?? '';
  return ['flows', 'tools', 'tests'].includes(place) ? place : (path.split('/').at(-1)?.split('.')[0] ?? '');
}

const flow = (more: object = {}, transition: object = {}) => ({
  workflows: {
    f: { initialState: 'a', states: { a: { transitions: { go: { target: 'b', ...transition } } } }, ...more },
  },
});
const oneCase = (more: object) => ({ flow: 'f', cases: [{ name: 'n', submit: 'go', as: 'ann', ...more }] });

const refused: readonly (readonly [what: string, kind: string, value: unknown])[] = [
  ['an unknown key at the top', 'connections', { connectoins: {} }],
  ['an unknown key of a connection', 'connections', { connections: { a: { kind: 'rest', baseURL: 'x' } } }],
  ['an unknown kind of connection', 'connections', { connections: { a: { kind: 'soap', baseUrl: 'x' } } }],
  ['an unknown key of an environment', 'environments', { environments: { dev: { requireTier: true } } }],
  ['a gate timeout without a unit', 'environments', { environments: { dev: { gateTimeout: '30' } } }],
  ['an unknown key of a role', 'roles', { roles: { a: { permission: [] } } }],
  ['a queue without roles', 'roles', { queues: { a: { roles: [] } } }],
  [
    'an unknown key of a tool',
    'tools',
    { tools: [{ name: 'a', executor: { kind: 'noop' }, teir: 'read_only' }] },
  ],
  ['an unknown tier', 'tools', { tools: [{ name: 'a', executor: { kind: 'noop' }, tier: 'safe' }] }],
  ['an unknown key of a flow', 'flows', flow({ intialState: 'a' })],
  ['`gaurds`', 'flows', flow({}, { gaurds: [] })],
  ['an unknown kind of guard', 'flows', flow({}, { guards: [{ kind: 'always' }] })],
  ['a guard that requires nothing', 'flows', flow({}, { guards: [{ kind: 'evidence', requires: [] }] })],
  [
    'an unknown key deep in a guard',
    'flows',
    flow({}, { guards: [{ kind: 'not', guard: { kind: 'allOf', guards: [{ kind: 'role', rol: 'a' }] } }] }),
  ],
  ['an actor with a capital', 'flows', flow({}, { actor: 'Human' })],
  ['a made-up approval', 'flows', flow({}, { evidence: 'human_request' })],
  ['an unknown key of a declared agent', 'flows', { name: 'a', permissions: {}, approval_gates: [] }],
  ['an unknown permission list', 'flows', { name: 'a', permissions: { reed: [] } }],
  ['an unknown key of a case', 'tests', oneCase({ expects: 'executed' })],
  ['an unknown word', 'tests', oneCase({ expect: 'OK' })],
  ['an unknown key of an expectation', 'tests', oneCase({ expect: { verdit: 'executed' } })],
  ['an unknown record', 'tests', oneCase({ expect: { records: ['run.begun'] } })],
  ['a step that does two things', 'tests', { cases: [{ name: 'n', steps: [{ approve: 'a', deny: 'b' }] }] }],
];

for (const [what, kind, value] of refused)
  test(`${kind}: ${what} is refused`, () => {
    assert.equal(validator(kind)(value), false);
    if (kind !== 'tests') assert.equal(validator('mixed')(value), false);
  });

for (const kind of ['connections', 'environments', 'roles', 'tools', 'flows', 'notifications', 'mixed'])
  test(`${kind}: a warning may be acknowledged at the top of the file`, () => {
    const more = kind === 'flows' ? flow() : {};
    const accepted = { code: 'NAMES_DIFFER_IN_CASE', reason: 'both are old' };
    assert.equal(validator(kind)({ ...more, acknowledge: [accepted] }), true);
    assert.equal(
      validator(kind)({ ...more, acknowledge: [{ ...accepted, code: 'DANGLING_TARGET' }] }),
      false,
    );
  });

test('a file of several kinds fits the mixed schema', () => {
  const value = {
    ...flow(),
    version: 1,
    connections: { a: { kind: 'rest', baseUrl: 'env://A' } },
    tools: [],
  };
  assert.equal(validator('mixed')(value), true);
  assert.equal(validator('flows')(value), false);
});
