import { parseArgs, type ParseArgsConfig } from 'node:util';

// Reads the options of benchmarks and drills. An option that cannot be read ends the process, so that it never makes a smaller run
// that passes.

/** Like `parseArgs`; for an option that does not exist it prints what is wrong and ends the process. */
export function readOptions<T extends ParseArgsConfig>(config: T): ReturnType<typeof parseArgs<T>>['values'] {
  try {
    return parseArgs(config).values;
  } catch (error) {
    const names = Object.keys(config.options ?? {}).map((name) => `--${name}`);
    return refuse(`${(error as Error).message}; the options are ${names.join(', ')}`);
  }
}

/** Reads an option that is a whole number of at least `least`. */
export function wholeNumber(name: string, text: string, least = 1): number {
  const value = /^\d+$/.test(text) ? Number(text) : Number.NaN;
  if (Number.isSafeInteger(value) && value >= least) return value;
  return refuse(`--${name} is \`${text}\`: give a whole number of at least ${least}`);
}

/** Reads an option that is a number above zero. */
export function positiveNumber(name: string, text: string): number {
  const value = text.trim() === '' ? Number.NaN : Number(text);
  if (Number.isFinite(value) && value > 0) return value;
  return refuse(`--${name} is \`${text}\`: give a number above 0`);
}

function refuse(message: string): never {
  process.stderr.write(`${message}\n`);
  process.exit(2);
}
