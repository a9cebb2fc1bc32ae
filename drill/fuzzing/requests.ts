// The requests that the fuzzer sends: nonsense, extremes, and valid requests that were changed. The same seed gives the same
// requests, except for the ids that earlier answers brought.

import { largeFlowRequest } from './flows.js';
import { shapeRequest } from './shapes.js';
import { chance, pick, type Random } from '../random.js';

export { makeRandom } from '../random.js';

export interface Operation {
  readonly method: string;
  /** Such as `/v1/runs/{id}`. */
  readonly path: string;
  readonly hasBody: boolean;
}

/** Ids from earlier answers, by what they name. */
export interface Known {
  readonly runs: string[];
  readonly approvals: string[];
  readonly digests: string[];
  readonly actions: string[];
}

export interface FuzzRequest {
  readonly method: string;
  readonly path: string;
  readonly headers: Readonly<Record<string, string>>;
  /** Null: the request has no body. */
  readonly body: Buffer | null;
  /** The announced body is longer than what is sent, and the connection ends. */
  readonly truncated: boolean;
  readonly by: string;
}

const strange = [
  '',
  ' ',
  '\u0000',
  '\ud800',
  'a\udc00b',
  '😀'.repeat(60),
  '../../etc/passwd',
  '%00',
  "' or 1=1 --",
  '{$.arguments.text}',
  '$.context.__proto__',
  '__proto__',
  'constructor',
  '--all',
  '\u202e\u200b',
  'é'.repeat(300),
  `ok${'x'.repeat(112)}😀😀`,
  'a'.repeat(31) + '!',
] as const;
const numbers = [
  0, -0, 1, -1, 0.1, 1e15, 1e16, 1e21, 1e308, -1e308, 5e-324, 9007199254740991, 9007199254740993, 2147483648,
];
const sizes = [1, 10, 100, 1_000, 10_000, 100_000];

function makeLongText(random: Random): string {
  const unit = pick(random, ['a', 'é', '😀', '\\', '"', '\u0001', 'ab ']);
  return unit.repeat(Math.floor(pick(random, sizes) / unit.length));
}

function makeDeepValue(random: Random): unknown {
  const levels = pick(random, [10, 63, 64, 65, 199, 200, 201, 3_000]);
  let value: unknown = 1;
  for (let index = 0; index < levels; index += 1) value = index % 2 === 0 ? [value] : { a: value };
  return value;
}

function makeNonsense(random: Random, depth = 0): unknown {
  const kind = Math.floor(random() * (depth > 3 ? 5 : 9));
  if (kind === 0) return pick(random, [null, true, false]);
  if (kind === 1) return pick(random, numbers);
  if (kind < 4) return pick(random, strange);
  if (kind === 4) return chance(random, 0.03) ? makeLongText(random) : `x${Math.floor(random() * 1e6)}`;
  const count = chance(random, 0.01) ? 3_000 : Math.floor(random() * 5);
  const inner = Array.from({ length: count }, () => makeNonsense(random, depth + 2));
  if (kind < 7) return chance(random, 0.03) ? makeDeepValue(random) : inner;
  return Object.fromEntries(
    inner.map((value, index) => [chance(random, 0.2) ? pick(random, strange) : `k${index}`, value]),
  );
}

/** A body that an honest client could send to this operation. */
function makeHonestBody(random: Random, { path }: Operation, known: Known): unknown {
  const text = pick(random, ['ok', 'okay', `ok${'x'.repeat(112)}😀😀`, 'no']);
  const args = { text, amount: pick(random, [1, 60, 19.99, 1e15]) };
  const digest = pick(random, known.digests.length > 0 ? known.digests : ['sha256:0']);
  if (path.endsWith('/runs'))
    return { input: { who: text }, submit: { transition: pick(random, ['note', 'pay']), arguments: args } };
  if (path.includes('/transitions/')) return { arguments: args };
  if (path.endsWith('/decision')) return { decision: pick(random, ['approve', 'deny']), digest };
  if (path.endsWith('/cancel') || path.endsWith('/retry')) return { reason: text };
  if (path.endsWith('/keys'))
    return { id: `fuzz${Math.floor(random() * 50)}`, kind: pick(random, ['human', 'agent', 'system']) };
  if (path.endsWith('/check')) return makeFlow(random);
  return {};
}

function makeFlow(random: Random): unknown {
  const schema = pick<unknown>(random, [
    {
      type: 'object',
      properties: { a: { type: 'string', pattern: '^(a+)+$', default: `${'a'.repeat(31)}!` } },
    },
    {
      type: 'object',
      properties: {
        a: { type: 'array', uniqueItems: true, default: Array.from({ length: 4_000 }, (_, id) => ({ id })) },
      },
    },
    { type: 'object', properties: { a: { enum: Array.from({ length: 5_000 }, (_, index) => index) } } },
    { type: 'object', allOf: [{ $ref: '#' }] },
    { $defs: { a: { anyOf: [{ $ref: '#/$defs/a' }, { $ref: '#/$defs/a' }] } }, $ref: '#/$defs/a' },
    makeNonsense(random),
  ]);
  const count = pick(random, [1, 5, 200]);
  const transitions = Object.fromEntries(
    Array.from({ length: count }, (_, index) => [
      `t${index}`,
      {
        target: 'done',
        actor: 'deterministic',
        guards: [{ kind: 'expr', expr: `$.context.x == 'v${index}'` }],
      },
    ]),
  );
  return {
    workflows: {
      f: {
        owner: 'o',
        inputSchema: schema,
        initialState: 'open',
        states: { open: { transitions }, done: { terminal: true } },
      },
    },
  };
}

/** Changes one place in the value. */
function mutate(random: Random, value: unknown): unknown {
  if (typeof value !== 'object' || value === null || chance(random, 0.2)) return makeNonsense(random, 2);
  const entries: [string, unknown][] = Object.entries(value);
  if (entries.length === 0)
    return chance(random, 0.5) ? { extra: makeNonsense(random, 2) } : makeNonsense(random, 2);
  const at = Math.floor(random() * entries.length);
  const changed = entries.map(([key, own], index): [string, unknown] => [
    key,
    index === at ? mutate(random, own) : own,
  ]);
  if (chance(random, 0.1)) changed.splice(at, 1);
  return Array.isArray(value) ? changed.map(([, own]) => own) : Object.fromEntries(changed);
}

function pathOf(random: Random, path: string, known: Known): string {
  return path.replaceAll(/\{(\w+)\}/g, (_hole, name: string) => {
    if (chance(random, 0.15)) return encode(random, pick(random, strange));
    const ids = path.includes('approvals')
      ? known.approvals
      : path.includes('actions')
        ? known.actions
        : known.runs;
    if (name === 'transition') return pick(random, ['note', 'pay', 'end', 'nothing']);
    if (name === 'name') return pick(random, ['fuzz', 'fuzz', 'nothing']);
    if (name === 'version' || name === 'index')
      return pick(random, ['1', '0', '-1', '99999999999999999999', '1e3']);
    return ids.length === 0 ? 'run_0' : pick(random, ids);
  });
}

function encode(random: Random, text: string): string {
  const raw = encodeURIComponent(text.toWellFormed());
  return pick(random, [
    raw === '' ? '%20' : raw,
    '%',
    '%zz',
    '%c0%ae',
    '..%2f..',
    'a%2Fb',
    '%E0%A4%A',
    ';x=1',
  ]);
}

function makeQueryString(random: Random): string {
  if (!chance(random, 0.3)) return '';
  const name = pick(random, [
    'limit',
    'cursor',
    'wait',
    'status',
    'flow',
    'from',
    'asOf',
    'type',
    'x',
    '__proto__',
    'limit&limit',
  ]);
  const value = pick(random, [
    '0',
    '1',
    '500',
    '501',
    '-1',
    '1e9',
    'NaN',
    '',
    '%00',
    '%ff',
    'a'.repeat(3_000),
    '2026-01-01',
  ]);
  return `?${name}=${value}`;
}

const media = [
  'application/json',
  'application/json; charset=utf-16',
  'text/plain',
  'application/yaml',
  'multipart/form-data',
  '',
  'a/b;',
];
const oddHeaders: readonly (readonly [string, string])[] = [
  ['idempotency-key', 'k1'],
  ['idempotency-key', 'k'.repeat(300)],
  ['idempotency-key', ''],
  ['content-encoding', 'gzip'],
  ['expect', '100-continue'],
  ['x-forwarded-for', '\u00ff'.repeat(100)],
  ['authorization', 'Bearer'],
  ['authorization', `Bearer ${'x'.repeat(5_000)}`],
  ['authorization', 'Basic Og=='],
  ['last-event-id', '-1'],
  ['traceparent', '00-zz'],
];

export function makeRequest(
  random: Random,
  operations: readonly Operation[],
  known: Known,
  roles: readonly string[],
  shapesShare: number,
): FuzzRequest {
  if (chance(random, shapesShare))
    return chance(random, 0.4) ? largeFlowRequest(random) : shapeRequest(random, known, roles);
  const operation = pick(random, operations);
  const headers: Record<string, string> = {};
  const base = makeHonestBody(random, operation, known);
  const how = random();
  const value = how < 0.3 ? base : how < 0.7 ? mutate(random, base) : makeNonsense(random);
  let text = JSON.stringify(value) ?? '';
  if (chance(random, 0.02)) text = text.slice(0, Math.floor(text.length * random()));
  if (chance(random, 0.01)) text = text.replace('{', '{"a":1,"a":2,');
  if (chance(random, 0.002))
    text = JSON.stringify({
      arguments: { text: 'x'.repeat(pick(random, [900_000, 1_048_000, 1_048_576, 1_100_000])), amount: 1 },
    });
  let body: Buffer | null = operation.hasBody || chance(random, 0.03) ? Buffer.from(text) : null;
  if (body !== null && chance(random, 0.01)) body = Buffer.concat([body, Buffer.from([0xff, 0xfe, 0x00])]);
  if (body !== null)
    headers['content-type'] = chance(random, 0.05) ? pick(random, media) : 'application/json';
  if (chance(random, 0.08)) {
    const [name, held] = pick(random, oddHeaders);
    headers[name] = held;
  }
  return {
    method: chance(random, 0.03)
      ? pick(random, ['PUT', 'PATCH', 'DELETE', 'OPTIONS', 'HEAD', 'TRACE'])
      : operation.method,
    path: `${pathOf(random, operation.path, known)}${makeQueryString(random)}`,
    headers,
    body,
    truncated: body !== null && chance(random, 0.005),
    by: pick(random, roles),
  };
}
