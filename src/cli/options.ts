import { parseArgs } from 'node:util';
import { CliError } from './rest.js';

// What a command is, and the options of all commands.

export interface Terminal {
  readonly out: (line: string) => void;
  readonly err: (line: string) => void;
  readonly env: NodeJS.ProcessEnv;
}

export const options = {
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

/** Throws a `CliError` when an option is unknown or lacks its value. */
export function parse(args: readonly string[]) {
  try {
    return parseArgs({ args: [...args], options, allowPositionals: true, strict: true });
  } catch (error) {
    throw new CliError(`${error instanceof Error ? error.message : String(error)}`, 2);
  }
}
