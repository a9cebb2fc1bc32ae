import type {
  ApprovalJson,
  AuditItemJson,
  BatchJson,
  RunBodyJson,
  SubmittedJson,
} from '../model/contract/answer-types.js';
import { isOpen, unreadableText } from '../model/approval-status.js';
import { isObject, type Json, type JsonObject } from '../model/values/json.js';
import { unseenCharacters } from '../model/values/text.js';
import { escapeUnseen } from '../model/values/visible.js';
import type { Received } from './rest.js';

// Turns answers into lines for people.

type ReceivedRun = Received<RunBodyJson | SubmittedJson>;

export function showRun(body: ReceivedRun): string[] {
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
      (approval) =>
        `approval ${text(approval.id)} of ${text(approval.transition)}: ${text(approval.status)}${forRoles(approval)}`,
    ),
    ...list(body.links).map(showLink),
  ];
}

export function showLink({ rel, title, actor, gated }: Readonly<Record<string, Json | undefined>>): string {
  return `can ${text(rel)}${takersOf(actor)}${gated === true ? ' (may wait for an approval)' : ''}: ${text(title)}`;
}

/** The only kind of principal that may take the transition. Others see it too, and are refused. */
function takersOf(actor: Json | undefined): string {
  if (actor === 'human') return ' (people only)';
  return actor === 'system' ? ' (systems only)' : '';
}

function showResult(result: NonNullable<ReceivedRun['result']>): string[] {
  switch (result.status) {
    case 'executed':
      return [`executed ${text(result.transition)}: ${JSON.stringify(result.output ?? null)}`];
    case 'pending': {
      const approval = object(result.approval);
      return [
        `waits for approval ${text(approval.id)}${forRoles(approval)}, until ${text(approval.expiresAt)}`,
        `poll ${text(result.poll)}`,
      ];
    }
    case 'executing':
      return [`executing; poll ${text(result.poll)}`];
    default:
      return [];
  }
}

/** Shows the exact action that the digest binds. */
export function showApproval(approval: Received<ApprovalJson>): string[] {
  const by = object(approval.requestedBy);
  const reason = text(approval.reason);
  const waits = isOpen(approval.status);
  const gone = approval.unreadable ?? [];
  return [
    `approval ${text(approval.id)} (${text(approval.status)})${forRoles(approval)}`,
    `  ${escapeUnseen(text(approval.summary))}`,
    `  run         ${text(approval.run)} of ${text(approval.flow)} in ${text(approval.environment)}`,
    `  action      ${text(approval.tool) || text(approval.transition)}, ${text(approval.tier) || 'no tier'}`,
    ...block('arguments', gone.includes('arguments') ? unreadableText : (approval.arguments ?? {})),
    ...block('would run', gone.includes('preview') ? unreadableText : (approval.preview ?? null)),
    `  asked by    ${text(by.id)} (${text(by.kind)}) at ${text(approval.requestedAt)}`,
    ...(reason === '' ? [] : [`  waits for   ${escapeUnseen(reason)}`]),
    ...list(approval.gates).map(
      (gate) => `  decides     ${escapeUnseen(text(gate.text))} (${escapeUnseen(text(gate.rule))})`,
    ),
    ...(waits
      ? [
          `  expires     ${escapeUnseen(text(approval.onExpiry)) || `${text(approval.expiresAt)}, then: ${text(approval.onTimeout)}`}`,
        ]
      : []),
    ...list(object(approval.delivery).channels)
      .filter((each) => each.status === 'failed' || each.status === 'retrying')
      .map((each) => `  not told    ${text(each.channel)} (${text(each.event)}): ${text(each.detail)}`),
    ...list(approval.claims).map((claim) => `  looked at   by ${text(claim.by)} until ${text(claim.until)}`),
    ...list(approval.delegations).map(
      (each) =>
        `  handed      to ${text(each.to)} by ${text(each.from)} ${each.unreadable === undefined ? text(each.note) : unreadableText}`,
    ),
    ...(waits ? [`  ${escapeUnseen(text(approval.consequence))}`] : []),
    `  digest      ${text(approval.digest)}`,
  ];
}

function block(title: string, value: Json): string[] {
  const lines = JSON.stringify(value, null, 2).split('\n').map(escapeUnseen);
  return lines.map((line, index) => `  ${(index === 0 ? title : '').padEnd(11)} ${line}`);
}

export function showRecord(item: Received<AuditItemJson>): string {
  const actor = object(item.actor);
  const action = object(item.action);
  const policy = object(item.policy);
  const data = object(item.data);
  const parts = [
    text(item.index).padStart(6),
    text(item.time),
    text(item.type).padEnd(26),
    `${text(actor.id)} (${text(actor.kind)})`,
    text(action.transition),
    policy.verdict === undefined
      ? ''
      : `${text(policy.rule)}: ${text(policy.verdict)}, ${escapeUnseen(text(policy.reason))}`,
    text(data.code),
    text(data.why),
    ...(whatHappened[text(item.type)]?.map((field) => text(data[field])) ?? []),
    ...(item.type === 'mapping.unresolved' ? [unresolvedPaths(data)] : []),
  ];
  return parts.filter((part) => part !== '').join('  ');
}

const ofEffect = ['errorClass', 'message'] as const;
/** The fields of the record's data that say it. */
const whatHappened: Readonly<Record<string, readonly string[]>> = {
  'executor.failed': ofEffect,
  'executor.unknown': ofEffect,
  'run.stuck': ofEffect,
  'message.refused': ['name', 'reason', 'message'],
};

/** Of several paths a record names the first few, and how many there were. */
function unresolvedPaths({ path, paths, count }: JsonObject): string {
  const named = Array.isArray(paths) ? paths.map(text) : [text(path)];
  const others = typeof count === 'number' ? count - named.length : 0;
  return `${named.join(', ')}${others > 0 ? ` and ${others} more` : ''}`;
}

/** Added to a status that does not explain itself. */
const notes: Readonly<Record<string, string>> = { accepted: '(durable, not applied yet)' };

/** What the API asks a client to send, as the option that sends it. */
export function inOptions(said: string): string {
  return said.replace(/send `reason`$/, 'give one with --reason "…"').replace(/^\/reason$/, '--reason');
}

/** What came of each decision of a batch, also where the batch was refused. */
export function batchLines(body: Received<BatchJson>): string[] {
  return list(body.results).map((result) =>
    [
      text(result.approval),
      text(result.status),
      notes[text(result.status)] ?? '',
      text(result.summary),
      text(result.code),
      inOptions(text(result.detail)),
    ]
      .filter((part) => part !== '')
      .join('  '),
  );
}

/** The roles of all its gates together; who is needed at each gate stands in the approval itself. */
function forRoles(approval: { readonly roles?: readonly string[] | undefined }): string {
  const names = Array.isArray(approval.roles) ? approval.roles.map(text) : [];
  return names.length === 0 ? '' : ` for ${names.join(', ')}`;
}

/** The objects in the list; none where it is no list. */
export function list<Item extends object>(value: readonly Item[] | undefined): readonly Item[] {
  return Array.isArray(value) ? value.filter((item: Item): boolean => isObject(item)) : [];
}

export function object(value: Json | undefined): JsonObject;
export function object<T extends object>(value: T | undefined): Partial<T>;
export function object(value: unknown): object {
  return isObject(value) ? value : {};
}

export function text(value: Json | undefined): string {
  return typeof value === 'string' ? escapeUnseen(value) : typeof value === 'number' ? String(value) : '';
}

/** Escapes what a terminal would obey or not draw as `\uXXXX`, so that a line of JSON keeps its meaning. */
export function escapeLine(line: string): string {
  return line.replaceAll(unseenCharacters, (char) =>
    Array.from(
      { length: char.length },
      (_, at) => `\\u${char.charCodeAt(at).toString(16).padStart(4, '0')}`,
    ).join(''),
  );
}
