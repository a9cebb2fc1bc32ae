// What the folders inside the rooms hold; `*` stands for those of a room that are not named. ARCHITECTURE.md shows this table (`npm run doors`, which also says where a folder is missing).

export const folders = {
  'engine/expression': 'values: comparisons, templates, mappings, times, and what evaluating them may cost',
  'engine/gates':
    'gates and approvals: when they open, who decides, quorum, deadlines, escalation, what is covered',
  'engine/run':
    'a run: its start, submits, chains, branches, cancel and time-out, what is left to do when it is stuck',
  'engine/effects': 'actions: what is bound, whether they have an effect, their outcome, doubt, retry',
  'policy/text': 'YAML and JSON text with positions, and problems that name them',
  'policy/shape': 'what each document may contain, key by key',
  'policy/compile': 'shaped documents to plans, tools, connections, environments',
  'policy/check': 'what a compiled plan must not do, or is warned of',
  'policy/reachability': 'which states, branches and gates can be reached, and what values can stand there',
  'policy/checker': 'a check in a thread of its own, with an end',
  'policy/folder': 'the policies folder: reading it, comparing it with what is in force',
  'activities/step': 'the policy check of a run: load, verify, decide, write, in one transaction',
  'activities/execute': 'an effect: grant, attempts, leases, the call, its end',
  'executors/*': 'a kind of executor: `kind.ts` says what it is, its driver calls',
  'executors/connections': 'addresses, network rules, references to secrets',
  'executors/answer': 'what a target has answered, read exactly and within bounds',
  'executors/masking': 'secrets of a connection are hidden in whatever its target says',
  'audit/record': 'envelope, chain, payloads, sequencer',
  'audit/read': 'reading records for API and reconstruction',
  'notify/channels': 'one folder a channel: `webhook`, `email`, `slack`',
  'embedded/postgres': 'the Postgres that `npm start` and the tests start',
  'embedded/temporal': 'the Temporal server that they start, and its namespaces',
  'embedded/process': 'child processes that end with their parent, locks, free ports',
  'api/contract': 'schemas as OpenAPI, validation at the door, problems as answers',
  'api/http': 'a request on its way: who calls, body, limits, idempotency, waiting, record, answer',
  'api/routes': 'the routes, one file a resource',
  'api/approvals':
    'what the routes, pages, Slack and batches have in common about approvals: bodies, words, the way of a decision',
  'api/flows': 'publishing, loading, comparing and drawing flows',
  'api/runs': 'bodies of runs, reconstruction, the feed of events',
  'api/metrics': 'what `/metrics` tells',
  'api/pages': 'the pages of approvers: sign in, look, decide, links',
  'api/slack': 'what Slack sends, verified and translated',
};
