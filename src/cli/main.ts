import { run } from './command.js';

/** `npx countersign`: everything but the processes. It speaks REST only. */
export async function main(argv: readonly string[]): Promise<number> {
  const line = (stream: NodeJS.WriteStream) => (text: string) => void stream.write(`${text}\n`);
  return run(argv, { out: line(process.stdout), err: line(process.stderr), env: process.env });
}

/** Nothing else went wrong, and not all of the output could be written. */
const unwrittenCode = 3;

/**
 * Whoever read our output has had enough of it (`… | head -1`), or it cannot be written (a full disk, a lost terminal): what is being
 * done goes on, and the exit code says what came of it; and of output that is not whole, that.
 */
function goOnUnread(): void {
  let why = '';
  for (const stream of [process.stdout, process.stderr])
    stream.on('error', ({ code = 'EIO' }: NodeJS.ErrnoException) => {
      if (code !== 'EPIPE') why = code;
    });
  process.on('exit', (code) => {
    if (why === '') return;
    process.stderr.write(`not all of the output could be written (${why})\n`);
    if (code === 0) process.exitCode = unwrittenCode;
  });
}

goOnUnread();
process.exitCode = await main(process.argv.slice(2));
