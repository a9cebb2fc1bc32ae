import { run } from './command.js';

/** `npx countersign`: everything but the processes. It speaks REST only. */
export async function main(argv: readonly string[]): Promise<number> {
  const line = (stream: NodeJS.WriteStream) => (text: string) => void stream.write(`${text}\n`);
  return run(argv, { out: line(process.stdout), err: line(process.stderr), env: process.env });
}

/** Whoever read our output has had enough of it (`… | head -1`): what is being done goes on, and the exit code says what came of it. */
function goOnUnread(): void {
  for (const stream of [process.stdout, process.stderr])
    stream.on('error', (error: NodeJS.ErrnoException) => {
      if (error.code !== 'EPIPE') throw error;
    });
}

goOnUnread();
process.exitCode = await main(process.argv.slice(2));
