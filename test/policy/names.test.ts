import assert from 'node:assert/strict';
import { before, describe, test } from 'node:test';
import { checkFlowText, type Catalog, type Finding } from '../../src/policy/index.js';
import { longestName, longestRoleBytes } from '../../src/model/limits.js';
import { longestPrincipalId } from '../../src/model/principal.js';
import { compilePublished } from '../../src/policy/folder/published.js';
import { loadShipped } from './documents.js';
import { loadFiles } from './load.js';

// Names are compared character by character and read by eye: a name that looks like another is refused where it is written.

/** Names that read as `prüfer` or `x y`, and are other names. */
const odd: Readonly<Record<string, string>> = {
  'is not in Unicode normalization form C': 'pru\u0308fer',
  'holds U+200B': 'prü\u200bfer',
  'holds U+202E': 'prü\u202efer',
  'holds U+3164': 'prüfer\u3164',
  'holds U+2800': '\u2800prüfer',
  'holds U+FE0F': 'prüfer\ufe0f',
};
/** Checked only where a name is expected, not in the keys of data. */
const oddSpaces: Readonly<Record<string, string>> = {
  'holds U+00A0': 'x\u00a0y',
  'holds U+3000': 'x\u3000y',
  'begins or ends with a space': 'prüfer ',
  'two in a row': 'x  y',
};

const flow = (transition: string, more = ''): string => `workflows:
  f:
    owner: team
    initialState: a
    ${more}
    states:
      a:
        transitions:
          go: { target: b, ${transition} }
      b: { terminal: true }
`;
const q = (name: string): string => JSON.stringify(name);

/** Every place in a flow where an author chooses a name. */
const inFlows: Readonly<Record<string, (name: string) => string>> = {
  'a state': (name) =>
    `workflows: { f: { owner: t, initialState: ${q(name)}, states: { ${q(name)}: { terminal: true } } } }`,
  'a transition': (name) =>
    `workflows: { f: { owner: t, initialState: a, states: { a: { transitions: { ${q(name)}: { target: b } } }, b: { terminal: true } } } }`,
  'a role of a guard': (name) => flow(`guards: [{ kind: role, role: ${q(name)} }]`),
  'a permission of a guard': (name) => flow(`guards: [{ kind: permission, permission: ${q(name)} }]`),
  'a kind of evidence that is recorded': (name) =>
    flow(`tier: read_only, executor: { kind: noop }, evidence: ${q(name)}`),
  'a kind of evidence that is asked for': (name) =>
    flow(
      `tier: read_only, executor: { kind: noop }, evidence: ${q(name)}, guards: [{ kind: evidence, requires: [${q(name)}] }]`,
    ),
  'a role of a gate': (name) => flow(`gate: { roles: [${q(name)}], timeout: { after: 1h } }`),
  'a role of a share of a quorum': (name) =>
    flow(`gate: { roles: [${q(name)}], quorum: { perRole: { ${q(name)}: 1 } }, timeout: { after: 1h } }`),
  'a role of an escalation': (name) =>
    flow(`gate: { roles: [x], timeout: { after: 1h, action: escalate, to: [${q(name)}] } }`),
  "a role of a person's step": (name) => flow(`executor: { kind: human, roles: [${q(name)}] }`),
  "a role of a charter's gate": (name) => flow(`gate: { approver_role: ${q(name)}, timeout: { after: 1h } }`),
  'a queue': (name) => flow(`executor: { kind: human, queue: ${q(name)} }`),
  'a value of the context': (name) => flow(`output: { ${q(name)}: 1 }`, `initialContext: { ${q(name)}: 0 }`),
  'an argument': (name) =>
    flow(`inputSchema: { type: object, properties: { ${q(name)}: { type: string } } }`),
};
/** Keys of data: their author may use any spaces. */
const dataKeys = ['an argument'];
/** Roles are bounded in bytes: they are in an index of the store. */
const ofApprovals = [
  'a role of a gate',
  'a role of a share of a quorum',
  'a role of an escalation',
  "a role of a person's step",
  "a role of a charter's gate",
];

let catalog: Catalog;
before(async () => {
  ({ catalog } = await loadShipped());
});

const errorsOf = (text: string): readonly Finding[] => {
  const checked = checkFlowText(text, { catalog, file: 'f.yaml' });
  return checked.status === 'invalid' ? checked.errors : [];
};

for (const [place, document] of Object.entries(inFlows))
  describe(`a name that looks like another, for ${place},`, () => {
    test('is taken as it is where everybody can read it', () => {
      for (const name of ['prüfer', 'x y', '\u7ecf\u7406', 'naïve-1'])
        assert.deepEqual(
          errorsOf(document(name)).filter((finding) => finding.code === 'NAME_INVALID'),
          [],
          name,
        );
    });
    test('is refused, for it is longer than the store takes', () => {
      if (dataKeys.includes(place)) return;
      const tooLong = errorsOf(document('ü'.repeat(longestName + 1)));
      assert.ok(
        tooLong.some(({ message }) => /is longer than 200 characters|128 characters/.test(message)),
        JSON.stringify(tooLong),
      );
    });
    test('goes on in a flow that was published when a name could be longer', () => {
      for (const text of ['x', 'x'.repeat(longestName + 1)].map(document)) {
        const published = compilePublished(text, catalog);
        const isLabel = /128 characters/.test(JSON.stringify(published));
        assert.equal(published.status, isLabel ? 'invalid' : 'valid', JSON.stringify(published));
      }
      // A text that is new must keep the limit.
      if (!dataKeys.includes(place)) assert.notDeepEqual(errorsOf(document('x'.repeat(longestName + 1))), []);
    });
    test('goes on there with as many bytes as the index of roles takes, and more where it is no role of an approval', () => {
      const longest = 'ü'.repeat(longestRoleBytes / 2);
      for (const name of [longest, `${longest}x`]) {
        const published = compilePublished(document(name), catalog);
        const told = JSON.stringify(published);
        if (/128 characters/.test(told)) continue;
        const fits = name === longest || !ofApprovals.includes(place);
        assert.equal(published.status, fits ? 'valid' : 'invalid', told);
        if (!fits)
          assert.match(told, /is longer than 2700 bytes, which are the most for a role of an approval/);
      }
    });
    const refused = { ...odd, ...(dataKeys.includes(place) ? {} : oddSpaces) };
    for (const [why, name] of Object.entries(refused))
      test(`is refused, for it ${why}`, () => {
        const found = errorsOf(document(name));
        const told = found.filter((finding) => finding.code === 'NAME_INVALID');
        assert.ok(told.length > 0, JSON.stringify(found, null, 1));
        assert.ok(
          told.every(
            (finding) => finding.message.includes(why) || place === 'a state' || place === 'a transition',
          ),
          JSON.stringify(told),
        );
      });
  });

describe('a folder with such a name', () => {
  const inFolders: Readonly<Record<string, (name: string) => Readonly<Record<string, string>>>> = {
    'a role': (name) => ({ 'roles.yaml': `roles: { ${q(name)}: { permissions: [] } }\n` }),
    'a permission of a role': (name) => ({ 'roles.yaml': `roles: { r: { permissions: [${q(name)}] } }\n` }),
    'a queue': (name) => ({ 'roles.yaml': `queues: { ${q(name)}: { roles: [r] } }\n` }),
    'a role of a queue': (name) => ({ 'roles.yaml': `queues: { q: { roles: [${q(name)}] } }\n` }),
    'a role of a floor': (name) => ({
      'environments.yaml': `environments: { dev: { gates: [{ roles: [${q(name)}] }] } }\n`,
    }),
    'a person of a channel': (name) => ({
      'notifications.yaml': `channels: { s: { kind: slack, token: env://T, channel: C01, signingSecret: env://S, users: { U01: ${q(name)} } } }\nroutes: []\n`,
    }),
  };
  for (const [place, files] of Object.entries(inFolders))
    test(`does not load, and says so: ${place}`, async () => {
      const right = await loadFiles(files('prüfer'));
      assert.equal(right.status, 'loaded', JSON.stringify(right));
      const tooLong = await loadFiles(files('ü'.repeat(longestPrincipalId + 1)));
      assert.match(JSON.stringify(tooLong), /is longer than (200|355) characters/);
      for (const [why, name] of Object.entries({ ...odd, ...oddSpaces })) {
        const wrong = await loadFiles(files(name));
        assert.equal(wrong.status, 'invalid', why);
        const errors = wrong.status === 'invalid' ? wrong.errors : [];
        assert.ok(
          errors.some((finding) => finding.code === 'NAME_INVALID' && finding.message.includes(why)),
          JSON.stringify(errors),
        );
      }
    });
});
