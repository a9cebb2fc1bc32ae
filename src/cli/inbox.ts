import type { ApprovalJson, BatchJson } from '../model/answer-types.js';
import { decide, showAction, showDecision } from './decide.js';
import type { Command, Shown, Values } from './options.js';
import { all, remote } from './remote.js';
import { CliError, type Api, type Told } from './rest.js';
import { list, text } from './show.js';

// What a person does with approvals.

/** Each is a filter of `GET /v1/approvals`, with its name there. */
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
    what: 'list approvals (open ones, unless --status or --view says otherwise), the riskiest first',
    run: remote(approvals),
  },
  approve: {
    takes: ['approval'],
    options: ['reason', 'wait'],
    what: 'approve exactly what is shown, and say what became of it',
    run: remote((api, args, values, terminal) => decide('approve', api, args, values, terminal)),
  },
  deny: {
    takes: ['approval'],
    options: ['reason', 'wait'],
    what: 'deny it',
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
    what: 'try several decisions, and with --yes make them: all or none, unless --each',
    run: remote(batch),
  },
  claim: {
    takes: ['approval'],
    options: ['for'],
    what: 'say that you are looking at it (blocks nobody)',
    run: remote(async (api, args, values) =>
      shownPeople(
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
    what: 'say that you no longer look at it',
    run: remote(async (api, args) => shownPeople(await api.post<ApprovalJson>(pathOf(args, 'release'), {}))),
  },
  delegate: {
    takes: ['approval', 'to'],
    options: ['note'],
    what: 'hand it to a person who may decide it',
    run: remote(async (api, args, { note }) =>
      shownPeople(
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

async function approvals(api: Api, _args: readonly string[], values: Values): Promise<Shown> {
  const query = new URLSearchParams({ limit: '500' });
  // A saved view has its own word for it.
  if (values.status !== undefined || values.view === undefined) query.set('status', values.status ?? 'open');
  for (const flag of ['mine', 'claimed', 'delegated'] as const) if (values[flag]) query.set(flag, 'true');
  for (const [option, name] of Object.entries(filters)) {
    const given = values[option as keyof typeof filters];
    if (given !== undefined) query.set(name, given);
  }
  const items = await all<ApprovalJson>(api, '/v1/approvals', query);
  return { json: { data: items }, lines: items.length === 0 ? ['none'] : items.map(line) };
}

function line(one: Told<ApprovalJson>): string {
  const claimed = list(one.claims).map((claim) => text(claim.by));
  const parts = [
    text(one.id),
    text(one.status),
    text(one.tier) || 'no tier',
    `until ${text(one.expiresAt)}`,
    text(one.summary),
    ...(claimed.length === 0 ? [] : [`(looked at by ${claimed.join(', ')})`]),
  ];
  return parts.join('  ');
}

function shownPeople(one: Told<ApprovalJson>): Shown {
  const claims = list(one.claims).map((claim) => `looked at by ${text(claim.by)} until ${text(claim.until)}`);
  const handed = list(one.delegations).map((each) => `handed to ${text(each.to)} by ${text(each.from)}`);
  return { json: one, lines: [line(one), ...claims, ...handed] };
}

const path = '/v1/approvals/batch';

/** Always the dry run first; `--yes` then names its token. */
async function batch(api: Api, [decision = '', ...ids]: readonly string[], values: Values): Promise<Shown> {
  if (decision !== 'approve' && decision !== 'deny')
    throw new CliError(`a batch is to \`approve\` or to \`deny\`, not to \`${decision}\``, 2);
  if (ids.length === 0)
    throw new CliError('name the approvals: their ids stand in `npx countersign approvals`', 2);
  const { reason } = values;
  const digests = await digestsOf(api, ids);
  const decisions = ids.map((approval) => {
    const digest = digests.get(approval) ?? '';
    return { approval, decision, digest, ...(reason === undefined ? {} : { reason }) };
  });
  const asked = { decisions, mode: values.each ? 'each' : 'all' };
  const tried = await api.post<BatchJson>(path, { ...asked, dryRun: true });
  const { token } = tried;
  if (token === undefined)
    return { json: tried, lines: [...results(tried), 'nothing is decided'], exitCode: 1 };
  if (!values.yes)
    return { json: tried, lines: [...results(tried), 'nothing is decided yet: add --yes to do it'] };
  const made = await api.post<BatchJson>(path, { ...asked, dryRun: false, token });
  return { json: made, lines: results(made), exitCode: made.ok === true ? 0 : 1 };
}

/** From the inbox: reading an approval by itself would be on record as if its person had looked at it. */
async function digestsOf(api: Api, ids: readonly string[]): Promise<Map<string, string>> {
  const digests = new Map<string, string>();
  let cursor = '';
  do {
    const found = await api.get<{
      readonly data: readonly ApprovalJson[];
      readonly nextCursor: string | null;
    }>(`/v1/approvals?mine=true&limit=100${cursor}`);
    for (const one of list(found.data))
      if (ids.includes(text(one.id))) digests.set(text(one.id), one.digest ?? '');
    const next = text(found.nextCursor);
    cursor = next === '' ? '' : `&cursor=${encodeURIComponent(next)}`;
  } while (cursor !== '' && digests.size < ids.length);
  return digests;
}

/** What the words of a result do not say by themselves. */
const notes: Readonly<Record<string, string>> = { accepted: '(durable, not applied yet)' };

function results(body: Told<BatchJson>): string[] {
  return list(body.results).map((one) =>
    [
      text(one.approval),
      text(one.status),
      notes[text(one.status)] ?? '',
      text(one.summary),
      text(one.code),
      text(one.detail),
    ]
      .filter((part) => part !== '')
      .join('  '),
  );
}
