import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { FolderResult } from '../../../src/policy/index.js';
import { loadFiles } from '../load.js';

// policies/notifications.yaml: part of the policy set, and every name in it exists.

const base = {
  'roles.yaml': `roles: { cfo: { permissions: [] } }\nqueues: { payments: { roles: [controller] }, desk: { roles: [clerk] } }\n`,
  'flows/pay.yaml': `
workflows:
  pay:
    owner: team
    initialState: open
    states:
      open: { transitions: { go: { target: done, actor: agent, executor: { kind: human, queue: desk } } } }
      done: { terminal: true }
`,
};

function load(text: string | null, more: Readonly<Record<string, string>> = {}): Promise<FolderResult> {
  return loadFiles({ ...base, ...more, ...(text === null ? {} : { 'notifications.yaml': text }) });
}

async function problems(text: string): Promise<string[]> {
  const result = await load(text);
  assert.equal(result.status, 'invalid', JSON.stringify(result));
  return result.status === 'invalid'
    ? result.errors.map(
        (finding) =>
          `${finding.file ?? ''}:${finding.line}:${finding.column} ${finding.code} ${finding.message}`,
      )
    : [];
}

const whole = `version: 1
publicUrl: https://countersign.example.com/
channels:
  hook: { kind: webhook, url: 'https://hooks.example.com/in?team=1', secret: env://HOOK_SECRET }
  key: { kind: webhook, url: env://HOOK_URL, signing: ed25519, content: action, allowPrivate: true }
  on-call: { kind: slack, token: env://TOKEN, channel: C0123, signingSecret: secret://slack, users: { U024: ann } }
  mail: { kind: email, smtp: env://SMTP_URL, from: 'Countersign <no-reply@example.com>', to: [all@example.com, { address: ann@example.com, principal: ann }] }
routes:
  - { queue: payments, events: [requested, reminder, escalated], to: [on-call, hook] }
  - { role: cfo, flow: pay, environment: dev, to: [mail] }
  - { queue: desk, to: [key] }
  - { to: [hook] }
`;

describe('notifications.yaml', () => {
  const hook = `channels: { hook: { kind: webhook, url: 'https://h.example.com', secret: env://S } }\n`;
  test('is part of the policy set, whole', async () => {
    const result = await load(whole);
    assert.equal(result.status, 'loaded', JSON.stringify(result));
    if (result.status !== 'loaded') return;
    const found = result.policySet.notifications;
    assert.equal(found?.publicUrl, 'https://countersign.example.com');
    assert.deepEqual(
      found?.channels.map((channel) => [channel.name, channel.kind, channel.allowPrivate]),
      [
        ['hook', 'webhook', false],
        ['key', 'webhook', true],
        ['on-call', 'slack', false],
        ['mail', 'email', false],
      ],
    );
    assert.deepEqual(found?.routes[1], {
      queue: null,
      role: 'cfo',
      flow: 'pay',
      environment: 'dev',
      events: null,
      to: ['mail'],
    });
    assert.deepEqual(result.catalog.policySet, result.policySet);
  });

  test('knows every role and queue that a gate names: in a slot, in a stage of its time, under an environment', async () => {
    const gate = `gate: { roles: [clerk, auditor], quorum: { perRole: { auditor: 1 } }, timeout: { after: 1h, action: escalate, to: [lead], then: { after: 1h, action: escalate, to: [head] } } }`;
    const names = ['clerk', 'auditor', 'lead', 'head', 'sre'].map(
      (role) => `  - { role: ${role}, to: [hook] }\n`,
    );
    const files = {
      'environments.yaml': 'environments: { dev: { gates: [{ roles: [sre] }] } }\n',
      'flows/other.yaml': base['flows/pay.yaml']
        .replace('pay:', 'other:')
        .replace('queue: desk }', 'roles: [clerk, auditor] }')
        .replace('actor: agent,', `actor: agent, ${gate},`),
    };
    const result = await load(`${hook}routes:\n${names.join('')}`, files);
    assert.equal(result.status, 'loaded', JSON.stringify(result));
  });

  test('a folder without it notifies nobody', async () => {
    const result = await load(null);
    assert.ok(result.status === 'loaded' && result.policySet.notifications === undefined);
  });

  const refused: readonly (readonly [what: string, text: string, said: RegExp])[] = [
    [
      'an unknown channel',
      `${hook}routes: [{ to: [hok] }]`,
      /^notifications.yaml:2:17 UNKNOWN_CHANNEL unknown channel `hok`: did you mean `hook`\?$/,
    ],
    [
      'an unknown queue',
      `${hook}routes: [{ queue: paymants, to: [hook] }]`,
      /:2:19 ROUTE_UNKNOWN .*`payments`\?$/,
    ],
    ['an unknown role', `${hook}routes: [{ role: cfoo, to: [hook] }]`, /:2:18 ROUTE_UNKNOWN .*`cfo`\?$/],
    ['an unknown environment', `${hook}routes: [{ environment: moon, to: [hook] }]`, /UNKNOWN_ENVIRONMENT/],
    ['an unknown event', `${hook}routes: [{ events: [asked], to: [hook] }]`, /:2:21 UNKNOWN_VALUE/],
    [
      'an unknown key',
      `${hook}routes: [{ roles: [cfo], to: [hook] }]`,
      /UNKNOWN_KEY unknown key `roles`: did you mean `role`\?/,
    ],
    ['an unknown kind', 'channels: { a: { kind: pager } }', /UNKNOWN_KIND/],
    ['a route to nobody', `${hook}routes: [{ to: [] }]`, /:2:16 WRONG_VALUE/],
    [
      'a secret that stands in the file',
      `channels: { a: { kind: webhook, url: 'https://h.example.com', secret: whsec_AAAA } }`,
      /:1:\d+ \S+ .*secrets do not stand in policies/,
    ],
    [
      'a webhook without a secret',
      `channels: { a: { kind: webhook, url: 'https://h.example.com' } }`,
      /REQUIRED `secret` is required/,
    ],
    [
      "a secret beside the service's own key",
      `channels: { a: { kind: webhook, url: 'https://h.example.com', signing: ed25519, secret: env://S } }`,
      /WRONG_VALUE with `signing: ed25519`/,
    ],
    [
      'credentials in an address',
      `channels: { a: { kind: webhook, url: 'https://u:p@h.example.com', secret: env://S } }`,
      /WRONG_VALUE .*no http address/,
    ],
    [
      'another protocol',
      `channels: { a: { kind: webhook, url: 'ftp://h.example.com', secret: env://S } }`,
      /no http address/,
    ],
    [
      'an SMTP password in the file',
      `channels: { a: { kind: email, smtp: 'smtp://u:p@h', from: a@example.com, to: [b@example.com] } }`,
      /no reference/,
    ],
    [
      'an address that is none',
      `channels: { a: { kind: email, smtp: env://S, from: a@example.com, to: ['b@example.com, c@example.com'] } }`,
      /no e-mail address/,
    ],
    [
      'a line break in an address',
      `channels: { a: { kind: email, smtp: env://S, from: a@example.com, to: ["b@example.com\\r\\nBcc: c@example.com"] } }`,
      /no e-mail address/,
    ],
    [
      'a line break in a sender',
      `channels: { a: { kind: email, smtp: env://S, from: "a@example.com\\r\\nBcc: c@example.com", to: [b@example.com] } }`,
      /the sender holds a line break/,
    ],
    [
      'one address twice',
      `channels: { a: { kind: email, smtp: env://S, from: a@example.com, to: [b@example.com, b@example.com] } }`,
      /DUPLICATE_NAME/,
    ],
    [
      'a Slack channel by its name',
      `channels: { a: { kind: slack, token: env://T, signingSecret: env://S, channel: '#ops' } }`,
      /write `C0123456789`/,
    ],
    ['a public address with a query', 'publicUrl: https://c.example.com/?a=1', /:1:12 WRONG_VALUE/],
    ...['/team-a', '/team-a/', '//team-a', '/a/b', '/%20'].map(
      (path) =>
        [
          `a public address with the path ${path}`,
          `publicUrl: https://c.example.com:8443${path}`,
          /:1:12 WRONG_VALUE .* has a path, .*: write `https:\/\/c\.example\.com:8443`, or give the service a host or a port/,
        ] as const,
    ),
  ];
  for (const [what, text, said] of refused)
    test(`${what} is a finding with its place`, async () => {
      const found = await problems(text);
      assert.ok(
        found.some((finding) => said.test(finding)),
        found.join('\n'),
      );
    });

  test('a public address may end with slashes, and carries none into messages', async () => {
    for (const end of ['', '/', '//']) {
      const result = await load(`publicUrl: https://c.example.com${end}\n`);
      assert.equal(result.status, 'loaded', JSON.stringify(result));
      assert.equal(result.policySet.notifications?.publicUrl, 'https://c.example.com');
    }
  });

  test('a flow that no file declares is a warning: it may be published later', async () => {
    const result = await load(`${hook}routes: [{ flow: later, to: [hook] }]`);
    assert.equal(result.status, 'loaded', JSON.stringify(result));
    assert.deepEqual(
      result.warnings.map((finding) => finding.code).filter((code) => code === 'UNKNOWN_FLOW'),
      ['UNKNOWN_FLOW'],
    );
  });

  test('four times as many routes and tools in a folder four times as large take no more than four times as many look-ups', async (t) => {
    const many = <T>(count: number, make: (index: number) => T): T[] =>
      Array.from({ length: count }, (_, index) => make(index));
    let looked = 0;
    const counted = function (this: readonly unknown[] | string, searched: never, from?: number): boolean {
      looked += this.length;
      return this.indexOf(searched, from) !== -1;
    };
    for (const prototype of [Array.prototype, String.prototype] as object[]) {
      const own = Object.getOwnPropertyDescriptor(prototype, 'includes') ?? {};
      Object.defineProperty(prototype, 'includes', { ...own, value: counted });
      t.after(() => Object.defineProperty(prototype, 'includes', own));
    }
    const lookedWith = async (size: number): Promise<number> => {
      const states = { a: { transitions: { go: { target: 'nowhere' } } } };
      const flow = { owner: 'team', tags: many(size, () => 'q'), initialState: 'a', states };
      looked = 0;
      const found = await load(null, {
        'flows/f.json': JSON.stringify({ workflows: { f: flow } }),
        'tools/t.json': JSON.stringify({ tools: many(size, (index) => ({ name: `t${index}`, tier: 'x' })) }),
        'notifications.json': JSON.stringify({
          channels: { a: { kind: 'webhook', url: 'https://h.example.com', signing: 'ed25519' } },
          routes: many(size, (index) => ({ queue: `q${index}`, to: ['a'] })),
        }),
      });
      const codes = found.status === 'invalid' ? found.errors.map(({ code }) => code) : [];
      assert.deepEqual(new Set(codes), new Set(['DANGLING_TARGET', 'REQUIRED', 'UNKNOWN_VALUE']));
      return looked;
    };
    const [few, all] = [await lookedWith(200), await lookedWith(800)];
    assert.ok(few > 0 && all < 5 * few, `${few}, then ${all}`);
  });
});
