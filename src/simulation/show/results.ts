import type { Fact } from '../../model/records.js';
import { escapeUnseen } from '../../model/values/visible.js';
import type { CaseResult, Failure } from '../types.js';

// Results as lines for people.

export function resultLines(result: CaseResult, path: string): string[] {
  const { failure } = result;
  if (failure === null) return [`ok      ${result.name}`];
  return [
    `FAILED  ${result.name}`,
    ...failure.mismatches.map(({ line, column, what, expected, actual }) => {
      const of = what === '' ? '' : `${what} `;
      return `  ${path}:${line}:${column}: ${failure.step}: expected ${of}\`${escapeUnseen(expected)}\`, got \`${escapeUnseen(actual)}\``;
    }),
    ...whyLines(failure),
  ];
}

function whyLines({ why: reason, run, trace }: Failure): string[] {
  return [
    ...(reason === null ? [] : [`    why       ${escapeUnseen(reason)}`]),
    `    the run   is ${run.status} in state \`${escapeUnseen(run.state)}\`, version ${run.version}`,
    ...trace.map((fact, index) => `    ${index === 0 ? 'records' : '       '}   ${factLine(fact)}`),
  ];
}

export function factLine(fact: Fact): string {
  const { data, policy } = fact;
  const step =
    typeof data['from'] === 'string' && typeof data['to'] === 'string'
      ? `${data['from']} -> ${data['to']}`
      : '';
  const code = typeof data['code'] === 'string' && data['code'] !== policy?.rule ? data['code'] : '';
  const kind = typeof data['kind'] === 'string' ? data['kind'] : '';
  const parts = [
    fact.type,
    `by ${fact.actor.id} (${fact.actor.kind})`,
    fact.action?.transition ?? '',
    step,
    code,
    kind,
    policy === undefined ? '' : `${policy.rule}: ${policy.verdict}, ${policy.reason}`,
  ];
  return escapeUnseen(parts.filter((part) => part !== '').join('  '));
}
