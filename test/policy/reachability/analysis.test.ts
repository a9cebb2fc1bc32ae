import assert from 'node:assert/strict';
import { before, describe, test } from 'node:test';
import { checkFlowText, type Catalog, type Finding } from '../../../src/policy/index.js';
import { loadShipped, withStates, withTransition } from '../documents.js';

// Comparisons that always have the same verdict, and cases that guards leave open or take twice: reported where certain, and only there.

let catalog: Catalog;
before(async () => {
  ({ catalog } = await loadShipped());
});

const watched = [
  'NEVER_COMPARES',
  'NEVER_HOLDS',
  'NEVER_FAILS',
  'CONTRADICTION',
  'DETERMINISTIC_HOLE',
  'DETERMINISTIC_OVERLAP',
];

function watchedWarnings(text: string): readonly Finding[] {
  const checked = checkFlowText(text, { catalog });
  assert.equal(checked.status, 'valid', JSON.stringify(checked));
  return checked.warnings.filter((finding) => watched.includes(finding.code));
}

const schema = `inputSchema:
  type: object
  required: [amount, kind]
  properties:
    amount: { type: number, minimum: 0, maximum: 1000 }
    days: { type: integer, minimum: 1 }
    kind: { enum: [travel, meal] }
    note: { type: string }
    fixed: { const: 5 }
    tags: { type: array }
`;
const expr = (text: string): string => `{ kind: expr, expr: '${text}' }`;
const a = (text: string): string => expr(`$.arguments.${text}`);
const guards = (...list: readonly string[]): string =>
  withTransition(`${schema}guards: [${list.join(', ')}]`);
const all = (...list: readonly string[]): string => `{ kind: allOf, guards: [${list.join(', ')}] }`;
const any = (...list: readonly string[]): string => `{ kind: anyOf, guards: [${list.join(', ')}] }`;
const not = (guard: string): string => `{ kind: not, guard: ${guard} }`;

const comparisons: readonly (readonly [text: string, codes: readonly string[]])[] = [
  [guards(a('amount > 5')), []],
  [guards(a('amount > 1000')), ['NEVER_HOLDS']],
  [guards(a('amount >= 1000')), []],
  [guards(a('amount < 0')), ['NEVER_HOLDS']],
  [guards(a('amount >= 0')), ['NEVER_FAILS']],
  [guards(a('days >= 1')), []],
  [guards(a('days == 1.5')), ['NEVER_HOLDS']],
  [guards(a('kind == "hotel"')), ['NEVER_HOLDS']],
  [guards(a('kind != "hotel"')), ['NEVER_FAILS']],
  [guards(a('kind == "meal"')), []],
  [guards(a('kind starts_with "t"')), []],
  [guards(a('kind starts_with "x"')), ['NEVER_HOLDS']],
  [guards(a('kind > 5')), ['NEVER_COMPARES']],
  [guards(a('note > 5')), ['NEVER_COMPARES']],
  [guards(a('note == 5')), ['NEVER_COMPARES']],
  [guards(a('note == null')), []],
  [guards(a('amount == null')), ['NEVER_HOLDS']],
  [guards(a('amount != null')), ['NEVER_FAILS']],
  [guards(a('fixed == 5')), []],
  [guards(a('fixed == 6')), ['NEVER_HOLDS']],
  [guards(a('tags contains "x"')), []],
  [guards(a('note contains "x"')), []],
  [guards(a('amount contains "x"')), ['NEVER_COMPARES']],
  [guards(a('note > $.arguments.amount')), ['NEVER_COMPARES']],
  [guards(a('days > $.arguments.amount')), []],
  [guards(a('note == $.arguments.amount')), ['NEVER_COMPARES']],
  [guards(a('amount == $.arguments.amount')), ['NEVER_FAILS']],
  [guards(a('amount < $.arguments.amount')), ['NEVER_HOLDS']],
  [guards(expr('1 == 1')), ['NEVER_FAILS']],
  [guards(expr('1 == 2')), ['NEVER_HOLDS']],
  [guards(not(a('amount > 1000'))), ['NEVER_HOLDS']],
  [
    withTransition(`${schema}gate: { on: amount > 5000, roles: [x], timeout: { after: 1h } }`),
    ['NEVER_HOLDS'],
  ],
  [withTransition(`${schema}branches: [{ when: ${a('amount > 1000')}, target: b }]`), ['NEVER_HOLDS']],
];

const together: readonly (readonly [text: string, codes: readonly string[]])[] = [
  [guards(a('amount > 10'), a('amount < 5')), ['CONTRADICTION']],
  [guards(a('amount > 5'), a('amount < 10')), []],
  [guards(all(a('amount > 10'), a('amount < 5'))), ['CONTRADICTION']],
  [guards(any(all(a('amount > 10'), a('amount < 5')), a('amount == 7'))), ['CONTRADICTION']],
  [guards(any(a('amount > 10'), a('amount < 5'))), []],
  [guards(a('amount > 5'), not(a('amount > 3'))), ['CONTRADICTION']],
  [guards(a('amount == 5'), a('amount != 5')), ['CONTRADICTION']],
  [guards(a('days > 1'), a('days < 2')), ['CONTRADICTION']],
  [guards(a('amount > 1'), a('amount < 2')), []],
  [guards(a('note == "a"'), a('note == "b"')), ['CONTRADICTION']],
  [guards(a('note starts_with "a"'), a('note starts_with "b"')), ['CONTRADICTION']],
  [guards(a('note starts_with "a"'), a('note starts_with "ab"')), []],
  [guards(a('note contains "x"'), a('note contains "y"')), []],
  [guards(a('note contains "x"'), a('note starts_with "y"'), a('note != "yx"')), []],
  [guards(a('note == null'), a('note contains "x"')), ['CONTRADICTION']],
  [guards(a('kind != "meal"'), a('kind != "travel"')), ['CONTRADICTION']],
  [guards('{ kind: role, role: r }', not('{ kind: role, role: r }')), ['CONTRADICTION']],
  [guards('{ kind: role, role: r }', not('{ kind: role, role: s }')), []],
  [guards(a('days > $.arguments.amount'), a('days < $.arguments.amount')), []],
];

describe('comparisons and conjunctions', () => {
  for (const [text, codes] of [...comparisons, ...together])
    test(`${/guards: .*|gate: .*|branches: .*/.exec(text)?.[0] ?? text} -> ${codes.join(', ') || 'nothing'}`, () => {
      const warnings = watchedWarnings(text);
      assert.deepEqual(
        warnings.map((finding) => finding.code),
        codes,
        JSON.stringify(warnings),
      );
    });
});

/** State `s` decides by itself, and `k` comes from wherever `from` says. */
function decides(arms: readonly string[], from: string, more = ''): string {
  const lines = arms.map((guard, index) => `    t${index}: { target: end, actor: deterministic${guard} }`);
  return withStates(
    `a:\n  transitions:\n    go: { target: s, ${from} }\ns:\n  transitions:\n${lines.join('\n')}\nend: { terminal: true }`,
    more,
  );
}
const arm = (...list: readonly string[]): string =>
  `, guards: [${list.map((comparison) => expr(`$.context.${comparison}`)).join(', ')}]`;
const output = (spec: string): string => `executor: { kind: noop }, output: { k: ${spec} }`;
const answered = output('$.output.k');
const submitted = (type: string): string =>
  `inputSchema: { type: object, required: [k], properties: { k: ${type} } }, ${output('$.arguments.k')}`;
const limited = submitted('{ enum: [low, high] }');
const number = submitted('{ type: number }');

const choices: readonly (readonly [title: string, text: string, codes: readonly string[]])[] = [
  ['both of an enum', decides([arm('k == "low"'), arm('k == "high"')], limited), []],
  ['one of an enum', decides([arm('k == "low"')], limited), ['DETERMINISTIC_HOLE']],
  ['one of an enum and a default', decides([arm('k == "low"'), ''], limited), []],
  [
    'true and false of an answer that may bring neither',
    decides([arm('k == true'), arm('k == false')], answered),
    ['DETERMINISTIC_HOLE'],
  ],
  ['true, false and null', decides([arm('k == true'), arm('k == false'), arm('k == null')], answered), []],
  ['ranges that meet', decides([arm('k < 10'), arm('k >= 10')], number), []],
  ['ranges with a hole', decides([arm('k < 10'), arm('k > 10')], number), ['DETERMINISTIC_HOLE']],
  ['ranges that overlap', decides([arm('k <= 10'), arm('k >= 10')], number), ['DETERMINISTIC_OVERLAP']],
  ['three ranges', decides([arm('k < 10'), arm('k >= 10', 'k < 20'), arm('k >= 20')], number), []],
  [
    'a hole between three ranges',
    decides([arm('k < 10'), arm('k > 10', 'k < 20'), arm('k >= 20')], number),
    ['DETERMINISTIC_HOLE'],
  ],
  ['whole numbers leave no hole', decides([arm('k < 10'), arm('k > 9')], submitted('{ type: integer }')), []],
  ['what the answer brings, with a default', decides([arm('k > 10'), ''], answered), []],
  [
    'nothing at the start, with a default',
    decides([arm('k > 10'), ''], 'title: x', 'initialContext: { k: null }'),
    ['DETERMINISTIC_HOLE', 'NEVER_HOLDS'],
  ],
  [
    'null at the start that is always overwritten',
    decides([arm('k == "low"'), arm('k == "high"')], limited, 'initialContext: { k: null }'),
    [],
  ],
  [
    'null at the start that a guard keeps out',
    decides(
      [arm('k < 10'), arm('k >= 10')],
      `guards: [${expr('$.context.k > 0')}]`,
      'initialContext: { k: 5 }',
    ),
    ['NEVER_FAILS', 'NEVER_HOLDS', 'NEVER_FAILS'],
  ],
  ['two defaults', decides(['', ''], limited), ['DETERMINISTIC_OVERLAP']],
  [
    'the same guard twice',
    decides([arm('k == "low"'), arm('k == "low"'), ''], limited),
    ['DETERMINISTIC_OVERLAP'],
  ],
  [
    'two values',
    decides(
      [arm('k == "low"'), arm('k == "high"', 'n == 1'), arm('k == "high"', 'n != 1')],
      limited,
      'initialContext: { n: null }',
    ),
    ['NEVER_HOLDS', 'NEVER_FAILS'],
  ],
  [
    'two values and a hole',
    decides([arm('k == "low"'), arm('k == "high"', 'n == 1')], `${limited}`, 'initialContext: { n: 2 }'),
    ['DETERMINISTIC_HOLE', 'NEVER_HOLDS'],
  ],
  [
    'two paths against each other',
    decides([arm('k < $.context.n'), arm('k >= $.context.n')], number, 'initialContext: { n: 2 }'),
    [],
  ],
];

describe('deterministic choices', () => {
  for (const [title, text, codes] of choices)
    test(title, () => {
      const warnings = watchedWarnings(text);
      assert.deepEqual(
        warnings.map((finding) => finding.code).sort(),
        [...codes].sort(),
        JSON.stringify(warnings, null, 1),
      );
    });

  test('a hole and an overlap name a value for which they are there', () => {
    const [hole] = watchedWarnings(decides([arm('k < 10'), arm('k > 10')], number));
    assert.match(hole?.message ?? '', /when `\$\.context\.k` is `10`/);
    const [overlap] = watchedWarnings(decides([arm('k <= 10'), arm('k >= 10')], number));
    assert.match(overlap?.message ?? '', /`t1` and `t0` both apply when `\$\.context\.k` is `10`/);
  });
});
