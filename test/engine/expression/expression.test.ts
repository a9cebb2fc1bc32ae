import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { guardScopes, parseComparison, parsePath } from '../../../src/engine/expression/expression.js';
import type { Operand, Scope } from '../../../src/engine/plan.js';

// docs/spec/semantics.md §3: exactly one comparison, its operands, its operators, and where it went wrong.

/** An operand as a short text: `arguments:a/0`, or the JSON of a literal. */
function brief(operand: Operand): string {
  return operand.kind === 'literal'
    ? JSON.stringify(operand.value)
    : `${operand.scope}:${operand.segments.join('/')}`;
}

const good: readonly (readonly [text: string, left: string, operator: string, right: string])[] = [
  ['$.context.policyOk == true', 'context:policyOk', '==', 'true'],
  ['$.context.requiresFinance == false', 'context:requiresFinance', '==', 'false'],
  ['$.context.fmeca.maxResidualRpn <= 80', 'context:fmeca/maxResidualRpn', '<=', '80'],
  ['$.arguments.amount > 50000', 'arguments:amount', '>', '50000'],
  ['$.workflow.input.amount >= -12.5e3', 'input:amount', '>=', '-12500'],
  ['$.context.a != null', 'context:a', '!=', 'null'],
  ['$.context.a<1', 'context:a', '<', '1'],
  ['  $.context.a   ==   "b"  ', 'context:a', '==', '"b"'],
  [`$.context.a == 'it said "yes"'`, 'context:a', '==', '"it said \\"yes\\""'],
  ['$.context.a == "(a && b) = c"', 'context:a', '==', '"(a && b) = c"'],
  ['$.context.a starts_with "pre"', 'context:a', 'starts_with', '"pre"'],
  ['$.context.list contains 5', 'context:list', 'contains', '5'],
  ['"a,b" contains $.context.a', '"a,b"', 'contains', 'context:a'],
  ['$.context.rows[0].id == $.context.rows.1.id', 'context:rows/0/id', '==', 'context:rows/1/id'],
  ['$.context["odd name"] == 1', 'context:odd name', '==', '1'],
  [`$.context['a.b'].c == 1`, 'context:a.b/c', '==', '1'],
  ['$.context.constructor == null', 'context:constructor', '==', 'null'],
  ['5 < $.context.a', '5', '<', 'context:a'],
  ['$.context == null', 'context:', '==', 'null'],
];

describe('reads one comparison', () => {
  for (const [text, left, operator, right] of good) {
    test(text, () => {
      const parsed = parseComparison(text);
      assert.equal(parsed.status, 'parsed', JSON.stringify(parsed));
      if (parsed.status !== 'parsed') return;
      const { comparison } = parsed;
      assert.deepEqual(
        [brief(comparison.left), comparison.operator, brief(comparison.right)],
        [left, operator, right],
      );
      assert.equal(comparison.text, text);
    });
  }
});

/** A text with `«` before its mistake; what the message must say; what to write instead. */
const bad: readonly (readonly [marked: string, says: RegExp, suggestion?: string])[] = [
  ['«', /operand is missing/],
  ['   «', /operand is missing/],
  ['$.context.a«', /operator is missing/],
  ['$.context.a ==«', /operand is missing/],
  ['$.context.a == 1 «&& $.context.b == 2', /allOf/, 'allOf'],
  ['1 «in $.context.a', /`in` is no operator: use `contains` with its two sides exchanged/, 'contains'],
  ['$.context.a == 1 «|| $.context.b == 2', /anyOf/, 'anyOf'],
  ['«($.context.a == 1)', /[Pp]arentheses.*allOf/],
  ['!«($.context.a == 1)', /not/],
  ['$.context.a == 1 «and $.context.b == 2', /exactly one/],
  ['1 < $.context.a «< 3', /exactly one/],
  ['$.context.a «= 1', /use `==`/, '=='],
  ['$.context.a «=== 1', /strict/, '=='],
  ['$.context.a «<> 1', /use `!=`/, '!='],
  ['$.context.a «=~ "x"', /starts_with/],
  ['$.context.a == «approved', /quoted/, '"approved"'],
  ['«amount > 5', /not quoted.*\$\.context\.amount/, '"amount"'],
  ['$.context.a == «"open', /not closed/],
  ['$.context.a == "a«\\n"', /escapes/],
  ['$.context.a == «01', /no number/],
  ['$.context.a == «.5', /no number/],
  ['$.context.a == «9007199254740993', /exact/],
  ['$.context.a == «1e999', /exact/],
  ['$.context.a == «0.12345678901234567891', /exact/],
  ['$.context.a == «1e-999', /exact/],
  ['$.context.a > «"5"', /two numbers/],
  ['$.context.a <= «true', /two numbers/],
  ['$.context.a < «null', /two numbers/],
  ['«"5" > $.context.a', /two numbers/],
  ['$.context.a starts_with «5', /two strings/],
  ['$.context.a contains «null', /scalar/],
  ['«5 contains $.context.a', /string or an array/],
  ['$.context.a «startsWith "x"', /starts_with/, 'starts_with'],
  ['$.context.a «matches "x"', /no operator/, 'starts_with'],
  ['$.context.a «~ "x"', /no operator/],
  ['«$.ctx.a == 1', /unknown scope/, '$.context.a'],
  ['«$.contexts.a == 1', /unknown scope/, '$.context.a'],
  ['«$.output.a == 1', /unknown scope/],
  ['«$ == 1', /unknown scope/],
  ['«$.env.HOME == 1', /unknown scope/],
  ['$.context«..a == 1', /no part of a path/],
  ['$.context.a«[*] == 1', /no part of a path/],
  ['$.context.a«[-1] == 1', /no part of a path/],
  ['$.context.a«[01] == 1', /no part of a path/],
  ['$.context.a«? == 1', /templates/],
  ['«{} == 1', /no operand/],
  ['«[1] == 1', /no operand/],
];

describe('refuses with the place', () => {
  for (const [marked, says, suggestion] of bad) {
    test(marked, () => {
      const at = marked.indexOf('«');
      const parsed = parseComparison(marked.replace('«', ''));
      assert.equal(parsed.status, 'invalid', JSON.stringify(parsed));
      if (parsed.status !== 'invalid') return;
      assert.match(parsed.message, says);
      assert.equal(parsed.at, at, parsed.message);
      assert.equal(parsed.suggestion, suggestion, parsed.message);
    });
  }
});

test('bare names read the arguments where they are allowed, and nowhere else', () => {
  const parsed = parseComparison('amount.net > 50000', { scopes: guardScopes, bareNames: true });
  assert.ok(parsed.status === 'parsed');
  assert.equal(brief(parsed.comparison.left), 'arguments:amount/net');
  assert.equal(parseComparison('amount > 50000').status, 'invalid');
  const broken = parseComparison('items[x] > 5', { scopes: guardScopes, bareNames: true });
  assert.ok(broken.status === 'invalid');
  assert.equal(broken.at, 5);
  const quoted = parseComparison('vendor == "acme"', { scopes: guardScopes, bareNames: true });
  assert.ok(quoted.status === 'parsed');
  assert.equal(brief(quoted.comparison.right), '"acme"');
});

test('a path alone: optional where templates are, its scopes and no others', () => {
  const scopes: readonly Scope[] = ['output', 'context'];
  const parsed = parsePath('$.output.items[2].id?', { scopes, optional: true });
  assert.ok(parsed.status === 'parsed');
  assert.deepEqual(parsed.path.segments, ['items', '2', 'id']);
  assert.equal(parsed.path.optional, true);
  assert.equal(parsePath('$.output.a?', { scopes }).status, 'invalid');
  assert.equal(parsePath('$.arguments.a', { scopes }).status, 'invalid');
  assert.equal(parsePath('$.output.a b', { scopes }).status, 'invalid');
  assert.equal(parsePath('output.a', { scopes }).status, 'invalid');
});

test('length is bounded', () => {
  const parsed = parseComparison(`$.context.a == "${'x'.repeat(3_000)}"`);
  assert.ok(parsed.status === 'invalid');
  assert.match(parsed.message, /longer than/);
  const path = parsePath(`$.context.${'x'.repeat(3_000)}`, { scopes: guardScopes });
  assert.ok(path.status === 'invalid');
  assert.match(path.message, /longer than/);
});

test('a long text is shown by its beginning', () => {
  const parsed = parseComparison(`$.context.a == ${'x'.repeat(300)}`);
  assert.ok(parsed.status === 'invalid');
  assert.ok(parsed.message.includes('xxx...`') && parsed.message.length < 250, parsed.message);
});

test('any text is read or refused at a place inside it', () => {
  const piece = fc.constantFrom(
    '$.context',
    '.a',
    '[0]',
    '["b"]',
    ' ',
    '==',
    '<',
    '"x"',
    "'",
    '5',
    'null',
    '(',
    '&&',
    '?',
    'é',
    '\u0000',
  );
  const texts = fc.oneof(
    fc.string(),
    fc.array(piece).map((all) => all.join('')),
  );
  fc.assert(
    fc.property(texts, fc.boolean(), (text, bareNames) => {
      const parsed = parseComparison(text, { scopes: guardScopes, bareNames });
      if (parsed.status === 'parsed') return parsed.comparison.text === text;
      return parsed.at >= 0 && parsed.at <= text.length && parsed.message !== '';
    }),
    { numRuns: 1_000 },
  );
});
