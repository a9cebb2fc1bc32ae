// Rooms and their doors. ESLint refuses what is not named here (`lint/door-rule.js`), and ARCHITECTURE.md shows this table
// (`npm run doors`).

/**
 * By room, a folder below `src`; a folder in a room may have doors of its own. What it holds; the rooms, folders or files that
 * it may use (`null`: any), those whose types alone it may name, and the packages that it may use (`null`: any; `node:`
 * stands for all of Node). Its own files are open to it. Whatever stands nowhere is refused.
 */
export const doors = {
  model: {
    holds:
      'vocabulary, pure: zod schemas, the error table, ids, canonical JSON; `give-way.ts`, by which long work lets other work run; `when-stopping.ts`, by which many wait with one signal; and `sealing.ts`, by which bytes are encrypted',
    uses: [],
    types: [],
    packages: ['zod'],
  },
  // Of the model, the files that are pure functions over JSON, text or numbers, and cost the workflow bundle nothing.
  engine: {
    holds: 'what governance means, pure',
    uses: [
      'model/approval-status',
      'model/values/canonical',
      'model/names/derived-ids',
      'model/values/json',
      'model/limits',
      'model/values/text',
    ],
    types: ['model'],
    packages: [],
  },
  // How much a thread has worked is asked of the machine.
  'model/thread-clock': { holds: null, uses: [], types: [], packages: ['node:'] },
  // Bytes are encrypted by Node.
  'model/sealing': { holds: null, uses: [], types: [], packages: ['node:'] },
  schema: {
    holds: 'JSON Schema validation, and the kit that the engine decides with',
    uses: ['model'],
    types: ['engine'],
    packages: ['ajv', 'ajv-formats', 're2js', 'node:'],
  },
  // Of the executors, what each kind is, and which addresses are private.
  policy: {
    holds: 'from YAML text to located problems or a plan; the policies folder',
    uses: [
      'model',
      'engine',
      'schema',
      'executors/find-kind',
      'executors/effects',
      'executors/connections/private-addresses',
    ],
    types: [],
    packages: ['zod', 'yaml', 'node:'],
  },
  // Of the executors, what a call would be: no file of it touches the world.
  simulation: {
    holds: 'runs on paper: policy cases and the simulator; pure, no executor runs',
    uses: [
      'model',
      'engine',
      'schema',
      'policy',
      'executors/find-kind',
      'executors/effects',
      'executors/build',
      'executors/preview',
      'executors/connections/address',
    ],
    types: [],
    packages: [],
  },
  workflows: {
    holds: 'the kernel, message definitions, the payload converter',
    uses: ['model/names/ids'],
    types: ['model', 'engine', 'activities'],
    packages: ['@temporalio/workflow', '@temporalio/common'],
  },
  activities: {
    holds: 'the activities of a run: step and execute',
    uses: ['model', 'engine', 'schema', 'auth', 'audit', 'store', 'executors', 'db'],
    types: [],
    packages: ['@temporalio/activity'],
  },
  // Of the policies, what a kind compiles its own keys with. No file of theirs that is named here knows of kinds.
  executors: {
    holds:
      'a folder for each kind: its `kind.ts` describes it, pure (`kinds.ts` lists them), its driver makes the calls; connections and secrets, resolved when used',
    uses: [
      'model',
      'engine/plan',
      'engine/effects/effects',
      'engine/expression/template',
      'policy/shape/basics',
      'policy/compile/context',
      'policy/compile/values',
      'policy/check/addresses',
      'policy/check/credentials',
      'policy/check/holes',
      'policy/check/rewritten-values',
    ],
    types: ['engine'],
    packages: ['zod', '@modelcontextprotocol/sdk', 'node:'],
  },
  auth: {
    holds: 'from credential to principal; signing and verifying messages',
    uses: ['model', 'store'],
    types: ['db'],
    packages: ['zod', 'jose', 'node:'],
  },
  audit: {
    holds: 'envelope, chain, payloads, sequencer, verifier',
    uses: ['model', 'db'],
    types: ['engine'],
    packages: ['node:'],
  },
  db: {
    holds: 'pool, transactions, numbered migrations',
    uses: [],
    types: [],
    packages: ['pg', 'node:'],
  },
  store: {
    holds: 'all other SQL, a file for each family of rows',
    uses: ['model', 'db'],
    types: ['engine'],
    packages: ['node:'],
  },
  client: {
    holds:
      'hides Temporal: stores starts, submits, decisions, cancels and retries, rings for them, and reads their answers from the store',
    uses: [
      'model',
      'engine/state',
      'auth',
      'audit',
      'store',
      'db',
      'workflows/bell',
      'workflows/payload-converter',
      'workflows/telling',
      'workflows/versions',
    ],
    types: ['engine', 'workflows'],
    packages: ['@temporalio/client', '@temporalio/common', '@temporalio/worker', 'node:'],
  },
  // Of the executors, what holds the rules of going out: which addresses may be called, and what a reference stands for.
  notify: {
    holds: 'delivers the notifications of the store’s outbox: webhooks, e-mail, Slack',
    uses: ['model', 'store', 'executors/connections'],
    types: ['audit', 'db', 'executors'],
    packages: ['zod', 'nodemailer', 'node:'],
  },
  service: {
    holds:
      'the use cases, once for every door: for a `Caller`, with plain values; results and refusals are values',
    uses: [
      'model',
      'engine',
      'schema',
      'policy',
      'store',
      'auth',
      'audit',
      'executors/find-kind',
      'executors/effects',
      'executors/preview',
      'executors/connections/address',
      'executors/connections/references',
    ],
    types: ['client', 'db', 'executors'],
    packages: ['zod', 'node:buffer', 'node:crypto', 'node:timers/promises'],
  },
  // From the store only its own idempotency keys and the Slack requests that it has seen; from notify what Slack is told.
  api: {
    holds: 'REST, pages and Slack: turns requests into calls of the service, and results into answers',
    uses: [
      'model',
      'service',
      'auth',
      'store/idempotency',
      'store/people/slack',
      'executors/connections/references',
      'notify/slack-door',
      'notify/channels/slack/blocks',
    ],
    types: ['audit', 'db', 'store'],
    packages: ['zod', 'express', 'node:'],
  },
  // They count rows.
  'api/metrics': { holds: null, uses: ['store'], types: ['api', 'db'], packages: ['prom-client'] },
  // Of the executors, how references are looked up: a check says which have no value here.
  cli: {
    holds: 'the CLI, which speaks REST; its `check`, `test` and `simulate` ask no server',
    uses: ['model', 'policy', 'simulation', 'executors/connections/references'],
    types: [],
    packages: ['zod', 'node:'],
  },
  embedded: {
    holds: 'the one-command Postgres and Temporal',
    uses: ['model/names/temporal-names'],
    types: [],
    packages: ['pg', '@temporalio/client', '@temporalio/common', 'node:'],
  },
  processes: {
    holds: 'composition roots: `up`, `api`, `worker`, `migrate`',
    uses: null,
    types: [],
    packages: null,
  },
};
