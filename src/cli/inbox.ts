import type { ApprovalJson, BatchJson } from '../model/contract/answer-types.js';
import { decide, showAction, showDecision } from './decide.js';
import type { Command, Shown, Values } from './options.js';
import { getAll, remote } from './remote.js';
import { CliError, type Api, type Received } from './rest.js';
import { batchLines, list, text } from './show.js';

// The commands with which a person handles approvals.

/** Options that are filters of `GET /v1/approvals`, with the name that each filter has there. */
const filters = {
  role: 'role',
  flow: 'flow',
  environment: 'environment',
  tool: 'tool',
  tier: 'tier',
  transition: 'transition',
  'requested-by': 'requestedBy',
  'expiring-before': 'expiringBefore',
  text: 'text',
  order: 'order',
  view: 'view',
} as const satisfies Partial<Record<keyof Values, string>>;

export const inboxCommands: Readonly<Record<string, Command>> = {
  approvals: {
    takes: [],
    options: [
      'status',
      'mine',
      'claimed',
      'delegated',
      ...(Object.keys(filters) as (keyof typeof filters)[]),
    ],
    what: 'list approvals, the riskiest first: open ones, unless --status or --view says otherwise',
    run: remote(listApprovals),
  },
  approve: {
    takes: ['approval'],
    options: ['reason', 'wait'],
    what: 'show an approval, approve exactly that, and say what became of it',
    run: remote((api, args, values, terminal) => decide('approve', api, args, values, terminal)),
  },
  deny: {
    takes: ['approval'],
    options: ['reason', 'wait'],
    what: 'show an approval, and deny it',
    run: remote((api, args, values, terminal) => decide('deny', api, args, values, terminal)),
  },
  action: { takes: ['action'], options: [], what: 'say what became of an action', run: remote(showAction) },
  decision: {
    takes: ['decision'],
    options: [],
    what: 'say what became of a decision',
    run: remote(showDecision),
  },
  batch: {
    takes: ['approve|deny', '…approvals'],
    options: ['reason', 'each', 'yes'],
    what: 'try several decisions, and make them with --yes: all or none, unless --each',
    run: remote(decideBatch),
  },
  claim: {
    takes: ['approval'],
    options: ['for'],
    what: 'tell others that you are looking at an approval (blocks nobody)',
    run: remote(async (api, args, values) =>
      showPeople(
        await api.post<ApprovalJson>(
          pathOf(args, 'claim'),
          values.for === undefined ? {} : { for: values.for },
        ),
      ),
    ),
  },
  release: {
    takes: ['approval'],
    options: [],
    what: 'tell others that you no longer look at an approval',
    run: remote(async (api, args) => showPeople(await api.post<ApprovalJson>(pathOf(args, 'release'), {}))),
  },
  delegate: {
    takes: ['approval', 'to'],
    options: ['note'],
    what: 'hand an approval to a person who may decide it',
    run: remote(async (api, args, { note }) =>
      showPeople(
        await api.post<ApprovalJson>(pathOf(args, 'delegate'), {
          to: args[1] ?? '',
          ...(note === undefined ? {} : { note }),
        }),
      ),
    ),
  },
};

function pathOf([id = '']: readonly string[], what: string): string {
  return `/v1/approvals/${encodeURIComponent(id)}/${what}`;
}

async function listApprovals(api: Api, _args: readonly string[], values: Values): Promise<Shown> {
  const query = new URLSearchParams({ limit: '500' });
  // A saved view may filter by status itself.
  if (values.status !== undefined || values.view === undefined) query.set('status', values.status ?? 'open');
  for (const flag of ['mine', 'claimed', 'delegated'] as const) if (values[flag]) query.set(flag, 'true');
  for (const [option, name] of Object.entries(filters)) {
    const given = values[option as keyof typeof filters];
    if (given !== undefined) query.set(name, given);
  }
  const items = await getAll<ApprovalJson>(api, '/v1/approvals', query);
  return { json: { data: items }, lines: items.length === 0 ? ['none'] : items.map(approvalLine) };
}

function approvalLine(approval: Received<ApprovalJson>): string {
  const claimed = list(approval.claims).map((claim) => text(claim.by));
  const parts = [
    text(approval.id),
    text(approval.status),
    text(approval.tier) || 'no tier',
    `until ${text(approval.expiresAt)}`,
    text(approval.summary),
    ...(claimed.length === 0 ? [] : [`(looked at by ${claimed.join(', ')})`]),
  ];
  return parts.join('  ');
}

function showPeople(approval: Received<ApprovalJson>): Shown {
  const claims = list(approval.claims).map(
    (claim) => `looked at by ${text(claim.by)} until ${text(claim.until)}`,
  );
  const handed = list(approval.delegations).map((each) => `handed to ${text(each.to)} by ${text(each.from)}`);
  return { json: approval, lines: [approvalLine(approval), ...claims, ...handed] };
}

const path = '/v1/approvals/batch';

/** Always makes the dry run first; with `--yes` the decisions follow, with the token of the dry run. */
async function decideBatch(
  api: Api,
  [decision = '', ...ids]: readonly string[],
  values: Values,
): Promise<Shown> {
  if (decision !== 'approve' && decision !== 'deny')
    throw new CliError(`a batch takes \`approve\` or \`deny\`, not \`${decision}\``, 2);
  if (ids.length === 0)
    throw new CliError('name the approvals: `npx countersign approvals` lists their ids', 2);
  const { reason } = values;
  const digests = await digestsOf(api, ids);
  const decisions = ids.map((approval) => {
    const digest = digests.get(approval) ?? '';
    return { approval, decision, digest, ...(reason === undefined ? {} : { reason }) };
  });
  const asked = { decisions, mode: values.each ? 'each' : 'all' };
  const tried = await api.post<BatchJson>(path, { ...asked, dryRun: true });
  const { token } = tried;
  if (token === undefined) {
    const next = values.each
      ? 'each is refused'
      : 'leave out what is refused, or decide the others with --each';
    return { json: tried, lines: [...batchLines(tried), `nothing is decided: ${next}`], exitCode: 1 };
  }
  if (!values.yes)
    return { json: tried, lines: [...batchLines(tried), 'nothing is decided yet: add --yes to do it'] };
  const made = await api.post<BatchJson>(path, { ...asked, dryRun: false, token });
  return { json: made, lines: batchLines(made), exitCode: made.ok === true ? 0 : 1 };
}

/** Digests by approval, read from the inbox: reading an approval by itself would put on record that this person viewed it. */
async function digestsOf(api: Api, ids: readonly string[]): Promise<Map<string, string>> {
  const digests = new Map<string, string>();
  let cursor = '';
  do {
    const found = await api.get<{
      readonly data: readonly ApprovalJson[];
      readonly nextCursor: string | null;
    }>(`/v1/approvals?mine=true&limit=100${cursor}`);
    for (const approval of list(found.data))
      if (ids.includes(text(approval.id))) digests.set(text(approval.id), approval.digest ?? '');
    const next = text(found.nextCursor);
    cursor = next === '' ? '' : `&cursor=${encodeURIComponent(next)}`;
  } while (cursor !== '' && digests.size < ids.length);
  return digests;
}
