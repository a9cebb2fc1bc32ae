import { run } from './command.js';

/** `npx countersign`: everything but the processes. It speaks REST only. */
export async function main(argv: readonly string[]): Promise<number> {
  const line = (stream: NodeJS.WriteStream) => (text: string) => void stream.write(`${text}\n`);
  return run(argv, { out: line(process.stdout), err: line(process.stderr), env: process.env });
}

/** Nobody reads our output any more (`… | head -1`, a full disk, a lost terminal): what is being done goes on, and the exit code says what came of it. */
function goOnUnread(): void {
  for (const stream of [process.stdout, process.stderr]) stream.on('error', () => undefined);
}

goOnUnread();
process.exitCode = await main(process.argv.slice(2));
