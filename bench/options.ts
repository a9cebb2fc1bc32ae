import { parseArgs, type ParseArgsConfig } from 'node:util';

// The options of benchmarks and drills: what cannot be read is an error, and never a smaller run that passes.

/** As `parseArgs`; an option that does not exist ends the process with what is wrong. */
export function readOptions<T extends ParseArgsConfig>(config: T): ReturnType<typeof parseArgs<T>>['values'] {
  try {
    return parseArgs(config).values;
  } catch (error) {
    const names = Object.keys(config.options ?? {}).map((name) => `--${name}`);
    return refuse(`${(error as Error).message}; the options are ${names.join(', ')}`);
  }
}

/** A whole number of at least `least`, as an option gives it. */
export function wholeNumber(name: string, text: string, least = 1): number {
  const value = /^\d+$/.test(text) ? Number(text) : Number.NaN;
  if (Number.isSafeInteger(value) && value >= least) return value;
  return refuse(`--${name} is \`${text}\`: give a whole number of at least ${least}`);
}

/** A number above zero, as an option gives it. */
export function positiveNumber(name: string, text: string): number {
  const value = text.trim() === '' ? Number.NaN : Number(text);
  if (Number.isFinite(value) && value > 0) return value;
  return refuse(`--${name} is \`${text}\`: give a number above 0`);
}

function refuse(message: string): never {
  process.stderr.write(`${message}\n`);
  process.exit(2);
}
