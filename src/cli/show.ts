import type { ApprovalJson, AuditItemJson, RunBodyJson, SubmittedJson } from '../model/answer-types.js';
import { isOpen } from '../model/approval-status.js';
import { isObject, type Json, type JsonObject } from '../model/json.js';
import { unseenCharacters } from '../model/text.js';
import { visible } from '../model/visible.js';
import type { Told } from './rest.js';

// Answers as lines for people. `--json` shows the answers themselves.

type ToldRun = Told<RunBodyJson | SubmittedJson>;

export function showRun(body: ToldRun): string[] {
  const run = object(body.run);
  const result = object(body.result);
  const problem = object(run.problem);
  const ending = object(run.ending);
  return [
    ...showResult(result),
    `run ${text(run.id)} of ${text(run.flow)} ${text(run.flowVersion)} in ${text(run.environment)}: ${text(run.status)} in state ${text(run.state)}, version ${text(run.version)}`,
    ...(run.problem === undefined ? [] : [`problem ${text(problem.code)}: ${text(problem.message)}`]),
    ...(problem.next === undefined ? [] : [`next    ${text(problem.next)}`]),
    ...(run.ending === undefined ? [] : [`ending  ${text(ending.message)}`]),
    ...list(body.approvals).map(
      (one) => `approval ${text(one.id)} of ${text(one.transition)}: ${text(one.status)}${roles(one)}`,
    ),
    ...list(body.links).map(showLink),
  ];
}

export function showLink({ rel, title, actor, gated }: Readonly<Record<string, Json | undefined>>): string {
  return `can ${text(rel)}${takers(actor)}${gated === true ? ' (may wait for an approval)' : ''}: ${text(title)}`;
}

/** Whom alone a transition is for: to others it is shown, and refused. */
function takers(actor: Json | undefined): string {
  if (actor === 'human') return ' (people only)';
  return actor === 'system' ? ' (systems only)' : '';
}

function showResult(result: NonNullable<ToldRun['result']>): string[] {
  switch (result.status) {
    case 'executed':
      return [`executed ${text(result.transition)}: ${JSON.stringify(result.output ?? null)}`];
    case 'pending': {
      const approval = object(result.approval);
      return [
        `waits for approval ${text(approval.id)}${roles(approval)}, until ${text(approval.expiresAt)}`,
        `poll ${text(result.poll)}`,
      ];
    }
    case 'executing':
      return [`executing; poll ${text(result.poll)}`];
    default:
      return [];
  }
}

/** The exact action, as the digest binds it. */
export function showApproval(one: Told<ApprovalJson>): string[] {
  const by = object(one.requestedBy);
  const reason = text(one.reason);
  const waits = isOpen(one.status);
  return [
    `approval ${text(one.id)} (${text(one.status)})${roles(one)}`,
    `  ${visible(text(one.summary))}`,
    `  run         ${text(one.run)} of ${text(one.flow)} in ${text(one.environment)}`,
    `  action      ${text(one.tool) || text(one.transition)}, ${text(one.tier) || 'no tier'}`,
    ...block('arguments', one.arguments ?? {}),
    ...block('would run', one.preview ?? null),
    `  asked by    ${text(by.id)} (${text(by.kind)}) at ${text(one.requestedAt)}`,
    ...(reason === '' ? [] : [`  waits for   ${visible(reason)}`]),
    ...list(one.gates).map(
      (gate) => `  decides     ${visible(text(gate.text))} (${visible(text(gate.rule))})`,
    ),
    ...(waits
      ? [
          `  expires     ${visible(text(one.onExpiry)) || `${text(one.expiresAt)}, then: ${text(one.onTimeout)}`}`,
        ]
      : []),
    ...list(object(one.delivery).channels)
      .filter((each) => each.status === 'failed' || each.status === 'retrying')
      .map((each) => `  not told    ${text(each.channel)} (${text(each.event)}): ${text(each.detail)}`),
    ...list(one.claims).map((claim) => `  looked at   by ${text(claim.by)} until ${text(claim.until)}`),
    ...list(one.delegations).map(
      (each) => `  handed      to ${text(each.to)} by ${text(each.from)} ${text(each.note)}`,
    ),
    ...(waits ? [`  ${visible(text(one.consequence))}`] : []),
    `  digest      ${text(one.digest)}`,
  ];
}

function block(title: string, value: Json): string[] {
  const lines = JSON.stringify(value, null, 2).split('\n').map(visible);
  return lines.map((line, index) => `  ${(index === 0 ? title : '').padEnd(11)} ${line}`);
}

export function showRecord(item: Told<AuditItemJson>): string {
  const actor = object(item.actor);
  const action = object(item.action);
  const policy = object(item.policy);
  const parts = [
    text(item.index).padStart(6),
    text(item.time),
    text(item.type).padEnd(26),
    `${text(actor.id)} (${text(actor.kind)})`,
    text(action.transition),
    policy.verdict === undefined
      ? ''
      : `${text(policy.rule)}: ${text(policy.verdict)}, ${visible(text(policy.reason))}`,
  ];
  return parts.filter((part) => part !== '').join('  ');
}

/** Of all its gates together: each that waits must approve, and whom it takes stands in the approval itself. */
function roles(one: { readonly roles?: readonly string[] | undefined }): string {
  const names = Array.isArray(one.roles) ? one.roles.map(text) : [];
  return names.length === 0 ? '' : ` for ${names.join(', ')}`;
}

/** Its objects; none where it is no list. */
export function list<Item extends object>(value: readonly Item[] | undefined): readonly Item[] {
  return Array.isArray(value) ? value.filter((one: Item): boolean => isObject(one)) : [];
}

export function object(value: Json | undefined): JsonObject;
export function object<T extends object>(value: T | undefined): Partial<T>;
export function object(value: unknown): object {
  return isObject(value) ? value : {};
}

export function text(value: Json | undefined): string {
  return typeof value === 'string' ? visible(value) : typeof value === 'number' ? String(value) : '';
}

/** What a terminal would obey, or draws as nothing, as JSON writes it: JSON stays the JSON that it was. */
export function harmlessLine(line: string): string {
  return line.replaceAll(unseenCharacters, (char) =>
    Array.from(
      { length: char.length },
      (_, at) => `\\u${char.charCodeAt(at).toString(16).padStart(4, '0')}`,
    ).join(''),
  );
}
