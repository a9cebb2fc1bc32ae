import { tellArgument } from '../model/values/visible.js';
import { nearest } from '../policy/text/problems.js';

// The command lines of the commands that run the service.

interface ServiceCommand {
  readonly options: readonly string[];
  readonly what: string;
}

const commands = {
  up: {
    options: ['--no-demo'],
    what: 'run the whole service; --no-demo: without the demo agent',
  },
  api: { options: [], what: 'run an API process' },
  worker: { options: [], what: 'run a worker process' },
  migrate: {
    options: ['--forget-temporal'],
    what: 'prepare Postgres and Temporal; --forget-temporal: give the store to the deployment that starts next',
  },
} as const satisfies Readonly<Record<string, ServiceCommand>>;

/** `NAME=value`, as some programs take settings. */
const settingShape = /^[A-Za-z_]\w*=/;

export type ServiceCommandName = keyof typeof commands;

/** What is said instead of running the command. */
export interface Instead {
  /** 0: the help was asked for; 2: the command line is wrong. */
  readonly code: 0 | 2;
  readonly text: string;
}

/** Asked before anything is done. Null: the command is run with these arguments. */
export function answerInstead(name: ServiceCommandName, args: readonly string[]): Instead | null {
  const { options, what }: ServiceCommand = commands[name];
  const usage = `usage: countersign ${[name, ...options.map((option) => `[${option}]`)].join(' ')}`;
  if (args.some((arg) => arg === '--help' || arg === '-h'))
    return { code: 0, text: `${usage}\n  ${what}; the settings are environment variables` };
  // `--` says that options end, and none of ours follows one; pnpm hands it on.
  const wrong = args.find((arg) => arg !== '--' && !options.includes(arg));
  if (wrong === undefined) return null;
  const given = tellArgument(wrong);
  if (options.includes(given)) return { code: 2, text: `\`${given}\` takes no value` };
  // With two dashes: `-no-demo` is meant as the option too.
  const meant = nearest(given.replace(/^-*/, '--'), options);
  const more = meant === undefined ? `\n${usage}` : `: did you mean \`${meant}\`?`;
  const where = settingShape.test(wrong) ? ' as an argument: a setting is an environment variable' : '';
  return { code: 2, text: `\`${name}\` does not take \`${given}\`${where}${more}` };
}
