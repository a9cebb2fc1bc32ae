import { spawn } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { readOptions, wholeNumber } from '../bench/options.js';
import { startStack, type Stack } from '../testing/servers/stack.js';
import { installSchemathesis } from './schemathesis.js';

// `npm run drill:contract [-- --seed 1 --examples 10]`: schemathesis, which knows only our OpenAPI document, sends a real API and
// worker every request that it can think of, in all of its phases. It does so without a key, and as the principal of each
// development key; a person is signed in to the pages too. Prints JSON on stdout. Exits with 1 if an answer is a 5xx, or has a
// status, a media type or a body that the document does not name.

const values = readOptions({
  options: {
    seed: { type: 'string', default: '1' },
    examples: { type: 'string', default: '10' },
    roles: { type: 'string' },
  },
});
const sizes = { seed: wholeNumber('seed', values.seed), examples: wholeNumber('examples', values.examples) };
const say = (line: string): void => void process.stderr.write(`${line}\n`);

const checks = [
  'not_a_server_error',
  'status_code_conformance',
  'content_type_conformance',
  'response_schema_conformance',
];

const policies = {
  'roles.yaml': 'roles: { finance.controller: }\n',
  'flows/pay.yaml': `workflows:
  pay:
    owner: drill
    initialState: open
    states:
      open:
        transitions:
          pay:
            target: open
            tier: reversible
            inputSchema: { type: object, required: [amount], properties: { amount: { type: number } } }
            gate: { on: amount > 100, roles: [finance.controller], timeout: { after: 1d } }
            executor: { kind: noop, output: { paid: true } }
          end: { target: done, actor: human }
      done: { terminal: true }
`,
};

/** The admin comes last, since it can take flows, keys and policies away from the others. */
function rolesOf(stack: Stack): readonly string[] {
  const names = Object.keys(stack.keys).filter((name) => name !== 'admin');
  return values.roles?.split(',') ?? ['nobody', ...names, 'admin'];
}

/** Makes a payment that is executed and two that wait for approval, so that each role has a run of each kind to find. */
async function makeWork(stack: Stack): Promise<void> {
  for (const amount of [1, 1_000, 2_000]) {
    const submit = { transition: 'pay', arguments: { amount } };
    const { status, body } = await stack.fetchAs('agent', 'POST', '/v1/flows/pay/runs', {
      input: {},
      submit,
    });
    if (status >= 300) throw new Error(`no run of \`pay\`: ${JSON.stringify(body)}`);
  }
}

async function headersOf(stack: Stack, role: string): Promise<readonly string[]> {
  const key = stack.keys[role];
  if (key === undefined) return [];
  const form = new URLSearchParams({ credential: key, next: '' }).toString();
  const media = { 'content-type': 'application/x-www-form-urlencoded' };
  const { headers } = await stack.fetchAs(null, 'POST', '/sign-in', form, media);
  const cookie = headers.get('set-cookie')?.split(';')[0];
  return [`Authorization: Bearer ${key}`, ...(cookie === undefined ? [] : [`Cookie: ${cookie}`])];
}

interface RoleReport {
  readonly role: string;
  readonly ok: boolean;
  readonly seconds: number;
  readonly answers: Readonly<Record<string, number>>;
}

async function ask(stack: Stack, program: string, role: string): Promise<RoleReport> {
  const started = Date.now();
  const report = join(stack.home, `${role}.ndjson`);
  const headers = await headersOf(stack, role);
  const args = [
    ...['run', `${stack.url}/openapi.json`, '--phases', 'examples,coverage,fuzzing,stateful'],
    ...['--checks', checks.join(','), '--continue-on-failure', '--warnings', 'off'],
    ...['--seed', String(sizes.seed), '--max-examples', String(sizes.examples), '--generation-deterministic'],
    ...['--request-timeout', '40', '--max-redirects', '0', '--report-ndjson-path', report],
    // This stream has no end.
    ...['--exclude-path', '/v1/events'],
    ...headers.flatMap((header) => ['--header', header]),
  ];
  say(`== as ${role}`);
  const child = spawn(program, args, { cwd: stack.home, stdio: ['ignore', 2, 2] });
  const code = await new Promise((resolve, reject) => child.on('exit', resolve).on('error', reject));
  const seconds = Math.round((Date.now() - started) / 1_000);
  return { role, ok: code === 0, seconds, answers: countStatuses(report) };
}

function countStatuses(report: string): Record<string, number> {
  const counts: Record<string, number> = {};
  for (const [, status = ''] of readFileSync(report, 'utf8').matchAll(/"status_code":\s*(\d{3})/g))
    counts[status] = (counts[status] ?? 0) + 1;
  return counts;
}

async function main(): Promise<boolean> {
  const program = await installSchemathesis(say);
  say('starting Postgres, Temporal, API and worker');
  const stack = await startStack({ own: true, policies });
  try {
    await makeWork(stack);
    const reports: RoleReport[] = [];
    for (const role of rolesOf(stack)) reports.push(await ask(stack, program, role));
    const alive = stack.api.running && stack.worker.running;
    const ok = alive && reports.every((report) => report.ok);
    if (!ok) say(stack.logs());
    process.stdout.write(`${JSON.stringify({ ...sizes, alive, roles: reports, ok }, null, 2)}\n`);
    return ok;
  } finally {
    await stack.stop();
  }
}

process.exit((await main()) ? 0 : 1);
