import { parseArgs } from 'node:util';
import { nearest } from '../policy/text/problems.js';
import { CliError } from './rest.js';

// What a command is, and the options of all commands.

export interface Terminal {
  readonly out: (line: string) => void;
  readonly err: (line: string) => void;
  readonly env: NodeJS.ProcessEnv;
}

const options = {
  url: { type: 'string' },
  key: { type: 'string' },
  as: { type: 'string', multiple: true },
  do: { type: 'string', multiple: true },
  json: { type: 'boolean', default: false },
  help: { type: 'boolean', short: 'h', default: false },
  input: { type: 'string' },
  arguments: { type: 'string' },
  format: { type: 'string' },
  environment: { type: 'string' },
  version: { type: 'string' },
  mode: { type: 'string' },
  'expected-version': { type: 'string' },
  status: { type: 'string' },
  mine: { type: 'boolean', default: false },
  claimed: { type: 'boolean', default: false },
  delegated: { type: 'boolean', default: false },
  role: { type: 'string' },
  flow: { type: 'string' },
  tool: { type: 'string' },
  tier: { type: 'string' },
  transition: { type: 'string' },
  'requested-by': { type: 'string' },
  'expiring-before': { type: 'string' },
  text: { type: 'string' },
  order: { type: 'string' },
  view: { type: 'string' },
  for: { type: 'string' },
  note: { type: 'string' },
  each: { type: 'boolean', default: false },
  yes: { type: 'boolean', default: false },
  reason: { type: 'string' },
  wait: { type: 'string' },
  type: { type: 'string' },
  window: { type: 'string' },
} as const;

export type Values = ReturnType<typeof parse>['values'];
type OptionName = keyof typeof options;

/** The result of a command: the answer for `--json`, and lines for people. */
export interface Shown {
  readonly json: unknown;
  readonly lines: readonly string[];
  /** Absent: 0. */
  readonly exitCode?: 0 | 1 | 2;
}

export interface Command {
  /** Names of its positional arguments, in order; a last name that begins with `…` takes any number. */
  readonly takes: readonly string[];
  readonly options: readonly OptionName[];
  readonly what: string;
  readonly run: (given: {
    readonly args: readonly string[];
    readonly values: Values;
    readonly terminal: Terminal;
  }) => Promise<Shown>;
}

const everywhere: readonly string[] = ['url', 'key', 'as', 'json', 'help'];

/** Instead of the help itself, above which a hint would be out of sight. */
export const helpHint = '`countersign --help` lists the commands and their options';

/** Throws a `CliError` where the command does not take an option, or an option lacks its value. */
export function parse(name: string, command: Command, args: readonly string[]) {
  const given = { args: [...args], options, allowPositionals: true } as const;
  for (const token of parseArgs({ ...given, strict: false, tokens: true }).tokens) {
    const why = token.kind === 'option' ? optionTrouble(name, command, token, args[token.index] ?? '') : null;
    if (why !== null) throw new CliError(why, 2);
  }
  return parseArgs({ ...given, strict: true });
}

interface GivenOption {
  readonly name: string;
  readonly rawName: string;
  readonly value?: string | undefined;
  readonly inlineValue?: boolean | undefined;
}

function optionTrouble(
  command: string,
  spec: Command,
  { name, rawName, value, inlineValue }: GivenOption,
  written: string,
): string | null {
  const taken = [...everywhere, ...spec.options];
  if (!taken.includes(name)) {
    // `-reason` is read as `-r -e -a …`.
    const long = /^-([^-=][^=]+)/.exec(written)?.[1];
    const meant = nearest(long ?? name, taken);
    if (meant === undefined) return `\`${command}\` does not take ${rawName}\n${usageOf(command, spec)}`;
    const given = long === undefined ? rawName : `-${long}`;
    return `\`${command}\` does not take ${given}: did you mean --${meant}?\n${helpHint}`;
  }
  if (options[name as OptionName].type === 'boolean')
    return value === undefined ? null : `${rawName} takes no value`;
  // Such a value is more likely the next option.
  const isMissing = value === undefined || (inlineValue !== true && /^-./.test(value));
  return isMissing ? `${rawName} needs a value; one that begins with \`-\` is written ${rawName}=-…` : null;
}

export function usageOf(name: string, { takes, options: own }: Command): string {
  const args = takes.map((argument) =>
    argument.startsWith('…') ? `[${argument.slice(1)}…]` : `<${argument}>`,
  );
  const flags = own.map((option) =>
    options[option].type === 'boolean' ? `[--${option}]` : `[--${option} …]`,
  );
  return `usage: countersign ${[name, ...args, ...flags].join(' ')} [--json]`;
}
