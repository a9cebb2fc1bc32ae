import assert from 'node:assert/strict';
import { before, test } from 'node:test';
import { checkFlowText, type Catalog } from '../../../src/policy/index.js';
import { loadShipped, withStates } from '../documents.js';

// The fallbacks of a step count for what the flow records and reads, as its executor does.

let catalog: Catalog;
before(async () => {
  ({ catalog } = await loadShipped());
});

const rest = 'kind: rest, connection: payroll, method: GET, path: /x';
const fallback = (executor: string): string =>
  `{ ${rest}, reliability: { fallback: { strategy: first_success, executors: [{ ${executor} }] } } }`;
const findingsIn = (text: string): readonly string[] => {
  const checked = checkFlowText(text, { catalog });
  return [...(checked.status === 'invalid' ? checked.errors : []), ...checked.warnings].map(
    ({ code, path }) => `${code} ${path}`,
  );
};

const ofTransition = (executor: string, guards: string): string =>
  withStates(
    `a: { transitions: { go: { target: b, tier: reversible, idempotencyKey: true, executor: ${executor} } } }\nb: { transitions: { on: { target: c, guards: ${guards} } } }\nc: { terminal: true }`,
  );
const ofEntry = (executor: string, guards: string): string =>
  withStates(
    `a: { onEnter: { tier: reversible, idempotencyKey: true, executor: ${executor} }, transitions: { on: { target: c, guards: ${guards} } } }\nc: { terminal: true }`,
  );
const mcp = 'kind: mcp, connection: classifier, tool: t, map: { a: 1 }';
const either =
  '[{ kind: anyOf, guards: [{ kind: evidence, requires: [rest_call] }, { kind: evidence, requires: [mcp_tool_result] }] }]';

test('a guard may ask for evidence that only a fallback records', () => {
  assert.deepEqual(findingsIn(ofTransition(fallback(mcp), either)), []);
  assert.deepEqual(findingsIn(ofEntry(fallback(mcp), either)), []);
});

test('and for none that neither the executor nor a fallback records', () => {
  const cli = '[{ kind: evidence, requires: [cli_output] }]';
  assert.deepEqual(findingsIn(ofTransition(fallback(mcp), cli)), [
    'EVIDENCE_NEVER_PRODUCED /workflows/f/states/b/transitions/on',
  ]);
});

test('a fallback that reads what nothing writes is told, as its executor would be', () => {
  const reads = `${rest}, query: { q: $.context.never? }`;
  assert.deepEqual(findingsIn(ofTransition(fallback(reads), '[]')), [
    'NEVER_WRITTEN /workflows/f/states/a/transitions/go',
  ]);
  assert.deepEqual(findingsIn(ofEntry(fallback(reads), '[]')), [
    'NEVER_WRITTEN /workflows/f/states/a/onEnter',
  ]);
});
