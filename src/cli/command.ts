import type {
  AuditItemJson,
  FlowSummaryJson,
  RunBodyJson,
  SubmittedJson,
} from '../model/contract/answer-types.js';
import { hasApiKey } from '../model/names/api-key.js';
import { tellArgument } from '../model/values/visible.js';
import { nearest } from '../policy/text/problems.js';
import { checkCommand } from './check.js';
import { inboxCommands } from './inbox.js';
import { readJsonOption } from './json-option.js';
import { keyCommands } from './keys.js';
import { helpHint, parse, usageOf, type Command, type Shown, type Terminal, type Values } from './options.js';
import { getAll, remote } from './remote.js';
import { CliError, type Api } from './rest.js';
import { escapeLine, list, showRecord, showRun, text } from './show.js';
import { simulateCommand } from './simulate.js';
import { testCommand } from './test.js';

const commands: Readonly<Record<string, Command>> = {
  check: checkCommand,
  test: testCommand,
  simulate: simulateCommand,
  start: {
    takes: ['flow'],
    options: ['input', 'environment', 'version', 'mode'],
    what: 'start a run, by default in `dev`, or in the only environment that has the flow',
    run: remote(start),
  },
  get: {
    takes: ['run'],
    options: [],
    what: 'show a run and what can be done next',
    run: remote(async (api, [run = '']) =>
      toShown(await api.get<RunBodyJson>(`/v1/runs/${encodeURIComponent(run)}`)),
    ),
  },
  submit: {
    takes: ['run', 'transition'],
    options: ['arguments', 'expected-version'],
    what: 'submit a transition',
    run: remote(submit),
  },
  ...inboxCommands,
  ...keyCommands,
  audit: { takes: ['run'], options: ['type'], what: 'list the records of a run', run: remote(audit) },
};

/** Run by `bin/countersign.mjs`, and not from here. */
const serviceCommands: readonly string[] = ['up', 'api', 'worker', 'migrate'];

/** What people look for among the commands, and where it is. */
const elsewhere: Readonly<Record<string, string>> = {
  cancel: 'POST /v1/runs/{id}/cancel',
  retry: 'POST /v1/runs/{id}/retry',
  reload: 'POST /v1/policies/reload',
  withdraw: 'POST /v1/flows/{name}/withdraw',
};

/** Runs one command. Exit codes: 0 it worked, 1 it did not, 2 the command line is wrong. */
export async function run(argv: readonly string[], raw: Terminal): Promise<number> {
  const terminal = escapingTerminal(raw);
  const [name = '', ...rest] = argv;
  if (['', 'help', '--help', '-h'].includes(name)) {
    (name === '' ? terminal.err : terminal.out)(usage());
    return name === '' ? 2 : 0;
  }
  const json = rest.includes('--json');
  try {
    assertNoKey(argv);
    return await runCommand(name, rest, terminal);
  } catch (error) {
    if (!(error instanceof CliError)) throw error;
    if (json && error.problem !== null) terminal.out(JSON.stringify(error.problem, null, 2));
    terminal.err(error.message);
    return error.exitCode;
  }
}

/** What is told of an argument may come into a log, and what is asked for into the log of a proxy. */
function assertNoKey(argv: readonly string[]): void {
  const end = argv.indexOf('--');
  const isGiven = (index: number): boolean =>
    (end === -1 || index < end) &&
    (argv[index - 1] === '--key' || argv[index]?.startsWith('--key=') === true);
  if (argv.some((text, index) => hasApiKey(text) && !isGiven(index)))
    throw new CliError(
      'nothing was sent: an API key stands in the arguments; it is given with --key or COUNTERSIGN_KEY, and nothing around it',
      2,
    );
}

async function runCommand(name: string, rest: readonly string[], terminal: Terminal): Promise<number> {
  const command = Object.hasOwn(commands, name) ? commands[name] : undefined;
  if (command === undefined) throw new CliError(whyNoCommand(name), 2);
  const { values, positionals } = parse(name, command, rest);
  if (values.help) {
    terminal.out(usage());
    return 0;
  }
  const any = command.takes.at(-1)?.startsWith('…') === true;
  const given = positionals.length;
  if (any ? given < command.takes.length - 1 : given !== command.takes.length)
    throw new CliError(usageOf(name, command), 2);
  const shown = await command.run({ args: positionals, values, terminal });
  if (values.json) terminal.out(JSON.stringify(shown.json, null, 2));
  else shown.lines.forEach(terminal.out);
  return shown.exitCode ?? 0;
}

function whyNoCommand(name: string): string {
  if (name.startsWith('-'))
    return `there is no command \`${tellArgument(name)}\`: options stand after the command\n${helpHint}`;
  if (Object.hasOwn(elsewhere, name))
    return `there is no command \`${name}\`: it is \`${elsewhere[name]}\` of the API, see docs/operating.md`;
  const meant = nearest(name, [...Object.keys(commands), ...serviceCommands]);
  const more = meant === undefined ? `\n${usage()}` : `: did you mean \`${meant}\`?\n${helpHint}`;
  return `there is no command \`${tellArgument(name)}\`${more}`;
}

/** A terminal on which text that others wrote (a target, a service) moves no cursor and reverses no text. */
function escapingTerminal({ out, err, env }: Terminal): Terminal {
  const cleaned = (write: (line: string) => void) => (text: string) =>
    write(text.split('\n').map(escapeLine).join('\n'));
  return { out: cleaned(out), err: cleaned(err), env };
}

function usage(): string {
  return [
    'usage: countersign <command> [options]',
    '',
    ...Object.entries(commands).map(
      ([name, command]) =>
        `  ${usageOf(name, command).slice('usage: countersign '.length).replace(' [--json]', '')}\n      ${command.what}`,
    ),
    `  ${serviceCommands.join(' | ')}\n      run the service; each says with --help what it takes`,
    '',
    '--input and --arguments take a JSON object, or @file: the file that holds it',
    'every command takes --json; those that ask the service take --url (COUNTERSIGN_URL),',
    '--key (COUNTERSIGN_KEY) or --as NAME (a development key in COUNTERSIGN_HOME)',
  ].join('\n');
}

function toShown(body: Parameters<typeof showRun>[0]): Shown {
  return { json: body, lines: showRun(body) };
}

async function start(api: Api, [flow = '']: readonly string[], values: Values): Promise<Shown> {
  const { environment, version, mode } = values;
  const asked = {
    ...(environment === undefined ? {} : { environment }),
    ...(version === undefined ? {} : { version: numberOption('version', version) }),
    ...(mode === undefined ? {} : { mode }),
  };
  const input = { text: readJsonOption('input', values.input ?? '{}') };
  try {
    return toShown(
      await api.post<RunBodyJson | SubmittedJson>(`/v1/flows/${encodeURIComponent(flow)}/runs`, asked, {
        input,
      }),
    );
  } catch (error) {
    throw await explainUnknownFlow(api, flow, error);
  }
}

/** So the API ends where it knows no such flow. This program has no command that lists them, so the refusal itself does. */
const seeFlows = 'see GET /v1/flows';
const shownFlows = 20;

/** The error; where it is of a flow that is not known, with the flows that there are, if this principal may read them. */
async function explainUnknownFlow(api: Api, asked: string, error: unknown): Promise<unknown> {
  if (!(error instanceof CliError) || !error.message.endsWith(seeFlows)) return error;
  const page = await api
    .get<{ readonly data: readonly FlowSummaryJson[] }>('/v1/flows?limit=500')
    .catch(() => null);
  const flows = list(page?.data).filter(({ withdrawn = null }) => withdrawn === null);
  if (flows.length === 0) return error;
  const names = flows.map(({ name }) => text(name));
  const known = flows.find(({ name }) => name === asked);
  const meant = nearest(asked, names);
  const more = names.length > shownFlows ? ', …' : '';
  const hint =
    known !== undefined
      ? `its newest version is ${text(known.version)} in \`${text(known.environment)}\``
      : `${meant === undefined ? '' : `did you mean \`${meant}\`? `}there are ${names.slice(0, shownFlows).join(', ')}${more}`;
  return new CliError(error.message.slice(0, -seeFlows.length) + hint, error.exitCode, error.problem);
}

async function submit(
  api: Api,
  [run = '', transition = '']: readonly string[],
  values: Values,
): Promise<Shown> {
  const expected = values['expected-version'];
  return toShown(
    await api.post<SubmittedJson>(
      `/v1/runs/${encodeURIComponent(run)}/transitions/${encodeURIComponent(transition)}`,
      expected === undefined ? {} : { expectedVersion: numberOption('expected-version', expected) },
      { arguments: { text: readJsonOption('arguments', values.arguments ?? '{}') } },
    ),
  );
}

function numberOption(name: string, given: string): number {
  if (!/^\d{1,9}$/.test(given)) throw new CliError(`--${name} must be a whole number, not \`${given}\``, 2);
  return Number(given);
}

async function audit(api: Api, [run = '']: readonly string[], values: Values): Promise<Shown> {
  const query = new URLSearchParams({
    limit: '500',
    ...(values.type === undefined ? {} : { type: values.type }),
  });
  const items = await getAll<AuditItemJson>(api, `/v1/runs/${encodeURIComponent(run)}/audit`, query);
  return { json: { data: items }, lines: items.map(showRecord) };
}
