import { run } from './command.js';

/** `npx countersign`: everything but the processes. It speaks REST only. */
export async function main(argv: readonly string[]): Promise<number> {
  const line = (stream: NodeJS.WriteStream) => (text: string) => void stream.write(`${text}\n`);
  return run(argv, { out: line(process.stdout), err: line(process.stderr), env: process.env });
}

process.exitCode = await main(process.argv.slice(2));
