import { escapeUnseen } from '../../model/values/visible.js';
import { factLine } from './results.js';
import type { Option, Outlook } from '../outlook.js';
import type { Stop } from '../simulate.js';
import type { Executing } from '../sends.js';

// A walk as lines for people.

export function stopLines(stop: Stop): string[] {
  const { run } = stop;
  return [
    `* ${stop.step}${answerText(stop)}`,
    ...stop.records.map((fact) => `    record  ${factLine(fact)}`),
    `  ${run.status} in state \`${run.state}\`, version ${run.version}`,
    ...(Object.keys(run.context).length === 0 ? [] : [`  context   ${JSON.stringify(run.context)}`]),
    ...(run.evidence.length === 0 ? [] : [`  evidence  ${run.evidence.join(', ')}`]),
    ...(run.problem === null ? [] : [`  problem   ${run.problem.code}: ${run.problem.message}`]),
    ...(stop.executing === null ? [] : executingLines(stop.executing)),
    ...stop.approvals.flatMap(approvalLines),
    ...(stop.executing === null ? stop.principals.flatMap(principalLines) : []),
  ].map((line) => escapeUnseen(line));
}

function answerText({ answer }: Stop): string {
  if (answer === null) return '';
  return answer.status === 'refused' ? `: refused, ${answer.code}: ${answer.message}` : `: ${answer.status}`;
}

function executingLines(executing: Executing): string[] {
  const key = executing.idempotencyKey === null ? '' : ', with an idempotency key';
  return [
    `  would run ${executing.transition}: ${executing.kind}${executing.connection === null ? '' : ` ${executing.connection}`}, ${executing.call}${key}`,
    ...(executing.sends === null ? [] : [`            ${JSON.stringify(executing.sends)}`]),
    ...(executing.unresolved === null
      ? []
      : [`            but the call would fail: ${executing.unresolved}`]),
    "            say what it answered: --do 'answered {…}' or --do 'failed timeout'",
  ];
}

function approvalLines(approval: Outlook['approvals'][number]): string[] {
  return [
    `  waits     ${approval.transition} ${JSON.stringify(approval.arguments)} (${approval.because.join('; ')})`,
    ...approval.gates.map((gate) => `            ${gateLine(gate)}`),
    ...approval.deciders.map(
      ({ principal, may, why }) =>
        `            ${principal}: ${may ? 'may decide' : `may not, ${why ?? ''}`}`,
    ),
  ];
}

function gateLine({ rule, quorum, missing }: Outlook['approvals'][number]['gates'][number]): string {
  const left = missing.map(({ roles, count }) => {
    const whom = roles.length === 0 ? 'the permission approval.decide' : roles.join(' or ');
    return `${whom}${count === 1 ? '' : `, ${count} of them`}`;
  });
  const who = left.length === 0 ? 'approved' : `for ${left.join(', and ')}`;
  return `${who} (${quorum.approved} of ${quorum.count}; ${rule})`;
}

function principalLines({ name, kind, options }: Outlook['principals'][number]): string[] {
  if (options.length === 0) return [];
  const width = Math.max(...options.map((option) => option.transition.length));
  return [
    `  ${name} (${kind})`,
    ...options.map((option) => `    ${option.transition.padEnd(width)}  ${couldText(option)}`),
  ];
}

function couldText({ could, gate, listed }: Option): string {
  if (could.status === 'no') return `no: ${could.code}: ${could.message}`;
  const can = could.status === 'yes' ? 'can' : `can, if ${could.on} are right`;
  const hidden = listed ? '' : ', but no link says so';
  if (gate === null) return `${can}${hidden}`;
  const when = gate.when === 'always' ? '' : ` when ${gate.when}`;
  const who = gate.roles.length === 0 ? 'approval.decide' : gate.roles.join(' or ');
  const here = gate.approvers.length === 0 ? 'none of those named here' : gate.approvers.join(', ');
  return `${can}${hidden}; waits${when} for ${who} (${here})`;
}
