import { isOpen, unreadableText } from '../../../model/approval-status.js';
import type { Json, JsonObject } from '../../../model/values/json.js';
import { cutText, toExactJson, cutIntoPieces, toLine } from './text.js';

// Makes the blocks with which Slack shows an approval. Pure. Everything that comes from a flow, an agent or a person is escaped and
// stands in plain text or in a code block, so that Slack reads none of it as markup.

/** What a message says about an approval. */
export interface SlackApproval {
  readonly id: string;
  readonly digest: string;
  readonly status: string;
  readonly flow: string;
  readonly environment: string;
  readonly run: string;
  readonly transition: string;
  readonly tool: string | null;
  readonly tier: string | null;
  readonly summary: string;
  readonly consequence: string;
  /** Exactly as they would run. */
  readonly arguments: JsonObject;
  readonly preview: Json;
  /** Of these two, what the store can no longer read. */
  readonly unreadable: readonly string[];
  readonly requestedBy: string;
  readonly because: readonly string[];
  readonly roles: readonly string[];
  /** The gates, all of which must be approved. */
  readonly gates: readonly { readonly rule: string; readonly text: string }[];
  readonly expiresAt: string | null;
  readonly onExpiry: string;
  readonly closedAt: string | null;
  readonly decisions: readonly { readonly by: string; readonly decision: string; readonly at: string }[];
  /** The address of the approval's page; null: no `publicUrl` is configured. */
  readonly page: string | null;
}

export interface SlackMessage {
  /** What notifications show, and clients that show no blocks. */
  readonly text: string;
  readonly blocks: readonly JsonObject[];
}

export const actionIds = {
  approve: 'countersign.approve',
  deny: 'countersign.deny',
  open: 'countersign.open',
} as const;
export const modalId = 'countersign.decide';
export const reasonInput = { block: 'reason', action: 'text' } as const;

// Slack's limits: 150 characters a header, 3000 a section, 50 blocks, and about 12,000 characters a message in all.
const longestHeader = 150;
const longestPiece = 2_800;
const argumentPieces = 2;
const longestLine = 600;
const longestPreview = 900;
export const longestReason = 3_000;

/** The message for an approval as it stands: with buttons while it is open, and afterwards with who decided and when. */
export function approvalMessage(approval: SlackApproval): SlackMessage {
  const open = isOpen(approval.status);
  const shown = makeArgumentBlocks(approval);
  const header = open ? 'Approval needed' : outcomeWord(approval);
  return {
    text: `${header}: ${toLine(approval.summary, longestLine)}`,
    blocks: [
      { type: 'header', text: makePlainText(cutText(`${header}: ${nameAction(approval)}`, longestHeader)) },
      makeSection(toLine(approval.summary, longestLine)),
      ...shown.blocks,
      ...(open ? [makeSection(toLine(`What follows: ${approval.consequence}`, longestLine))] : []),
      ...makeFactBlocks(approval),
      ...(open ? [makeButtons(approval, shown.whole)] : makeOutcomeBlocks(approval)),
    ],
  };
}

/** The window that asks for a reason. It carries what the decision is about, but no secret. */
export function reasonModal(
  approval: SlackApproval,
  decision: 'approve' | 'deny',
  { metadata, reasonRequired }: { readonly metadata: string; readonly reasonRequired: boolean },
): JsonObject {
  const verb = decision === 'approve' ? 'Approve' : 'Deny';
  return {
    type: 'modal',
    callback_id: modalId,
    private_metadata: metadata,
    title: makePlainText(verb),
    submit: makePlainText(verb),
    close: makePlainText('Back'),
    blocks: [
      makeSection(toLine(approval.summary, longestLine)),
      ...makeArgumentBlocks(approval).blocks,
      makeSection(toLine(`What follows: ${approval.consequence}`, longestLine)),
      makeContext(`${toLine(approval.digest, 100)}`),
      {
        type: 'input',
        block_id: reasonInput.block,
        optional: !reasonRequired,
        label: makePlainText('Reason'),
        element: {
          type: 'plain_text_input',
          action_id: reasonInput.action,
          multiline: true,
          max_length: longestReason,
        },
      },
    ],
  };
}

/** A reply under the message, for people who have not looked. */
export function reminderText(approval: SlackApproval, event: 'reminder' | 'escalated'): string {
  const word = event === 'reminder' ? 'Still waiting' : 'Nobody has decided in time, so others are asked too';
  return `${word}: ${toLine(approval.summary, longestLine)}. If nobody decides: ${toLine(approval.onExpiry, 300)}.`;
}

/** What the window says after a decision. */
export function saidModal(title: string, text: string): JsonObject {
  return {
    type: 'modal',
    title: makePlainText(cutText(title, 24)),
    close: makePlainText('Close'),
    blocks: [makeSection(toLine(text, longestLine))],
  };
}

function nameAction({ tool, transition }: SlackApproval): string {
  return toLine(tool ?? transition, 100);
}

/** `whole`: the message shows all of the arguments, and all can be read, so that who reads it has seen everything that would run. */
function makeArgumentBlocks(approval: SlackApproval): {
  readonly whole: boolean;
  readonly blocks: readonly JsonObject[];
} {
  const { pieces, left } = cutIntoPieces(readableText(approval, 'arguments'), longestPiece, argumentPieces);
  const rest =
    left === 0
      ? []
      : [makeSection(`${left} more characters of the arguments do not fit here. ${tellWhereElse(approval)}`)];
  return {
    whole: left === 0 && !['arguments', 'preview'].some((part) => approval.unreadable.includes(part)),
    blocks: [...pieces.map(makeCodeBlock), ...rest, ...makePreviewBlocks(approval)],
  };
}

function readableText(approval: SlackApproval, part: 'arguments' | 'preview'): string {
  return approval.unreadable.includes(part) ? unreadableText : toExactJson(approval[part]);
}

function makePreviewBlocks(approval: SlackApproval): readonly JsonObject[] {
  const { pieces, left } = cutIntoPieces(readableText(approval, 'preview'), longestPreview, 1);
  const cutShort =
    left === 0 ? [] : [makeContext(`${left} more characters of this call: ${tellWhereElse(approval)}`)];
  return [makeContext('The call that would be made:'), ...pieces.map(makeCodeBlock), ...cutShort];
}

function tellWhereElse({ page, id }: SlackApproval): string {
  return page === null
    ? `Read it whole at GET /v1/approvals/${toLine(id, 100)}.`
    : 'Open its page, and decide there.';
}

function makeFactBlocks(approval: SlackApproval): readonly JsonObject[] {
  const { tier, gates, because, expiresAt } = approval;
  const told: readonly (readonly [string, string])[] = [
    ['Asked for by', approval.requestedBy],
    ['Tier', tier ?? 'none: taken for the worst'],
    ['Flow', `${approval.flow} in ${approval.environment}, run ${approval.run}`],
    ...gates.map(
      ({ rule, text }, index) =>
        [gates.length === 1 ? 'Decides' : `Decides, gate ${index + 1} (${rule})`, text] as const,
    ),
    ['Asked because', because.length === 0 ? 'its policy says so' : because.join('; ')],
    ...(isOpen(approval.status)
      ? ([['If nobody decides', approval.onExpiry]] as const)
      : ([['It was open until', expiresAt ?? 'an unknown time']] as const)),
    ['Digest', approval.digest],
  ];
  return [
    { type: 'divider' },
    {
      type: 'context',
      elements: told.map(([name, value]) => makePlainText(`${name}: ${toLine(value, 300)}`)),
    },
  ];
}

function makeButtons(approval: SlackApproval, whole: boolean): JsonObject {
  const value = JSON.stringify({ approval: approval.id, digest: approval.digest });
  const deny = makeButton(actionIds.deny, 'Deny', { value, style: 'danger' });
  const open =
    approval.page === null
      ? []
      : [makeButton(actionIds.open, 'Open page', { url: approval.page.slice(0, 3_000) })];
  // Without the button if the message does not show all that would run.
  const approve = whole ? [makeButton(actionIds.approve, 'Approve', { value, style: 'primary' })] : [];
  return { type: 'actions', block_id: 'countersign', elements: [...approve, deny, ...open] };
}

function makeButton(id: string, text: string, more: JsonObject): JsonObject {
  return { type: 'button', action_id: id, text: makePlainText(text), ...more };
}

const words: Readonly<Record<string, string>> = {
  approved: 'Approved',
  consumed: 'Approved',
  denied: 'Denied',
  expired: 'Expired',
  revoked: 'Revoked',
};

function outcomeWord({ status }: SlackApproval): string {
  return words[status] ?? 'Closed';
}

function makeOutcomeBlocks(approval: SlackApproval): readonly JsonObject[] {
  const { decisions, closedAt, status } = approval;
  const counted = decisions.filter(({ decision }) => (decision === 'deny') === (status === 'denied'));
  const people = counted.map(({ by, at }) => `${toLine(by, 100)} at ${toLine(at, 40)}`).join(', ');
  const decided = ['approved', 'consumed', 'denied'].includes(status) && people !== '';
  const when = closedAt === null ? '' : ` at ${toLine(closedAt, 40)}`;
  const reasons: Readonly<Record<string, string>> = {
    expired: 'it was not decided in time, so nothing runs',
    revoked: 'the run ended or left the state in which it was asked for, or the same was done meanwhile',
  };
  const word = outcomeWord(approval);
  const reason = reasons[status];
  const said = decided
    ? `${word} by ${people}.`
    : `${word}${when}${reason === undefined ? '' : `: ${reason}`}.`;
  return [makeSection(cutText(said, 2_900))];
}

/** `text` is already escaped. */
function makePlainText(text: string): JsonObject {
  return { type: 'plain_text', text, emoji: false };
}

function makeSection(text: string): JsonObject {
  return { type: 'section', text: makePlainText(text) };
}

function makeContext(text: string): JsonObject {
  return { type: 'context', elements: [makePlainText(text)] };
}

/** A code block. Its content cannot end it: see `toExactJson`. */
function makeCodeBlock(text: string): JsonObject {
  return { type: 'section', text: { type: 'mrkdwn', text: `\`\`\`\n${text}\n\`\`\``, verbatim: true } };
}
