import { run } from './command.js';

/** `npx countersign`, except for the commands that run the service (`up`, `api`, `worker`, `migrate`). */
export async function main(argv: readonly string[]): Promise<number> {
  const line = (stream: NodeJS.WriteStream) => (text: string) => void stream.write(`${text}\n`);
  return run(argv, { out: line(process.stdout), err: line(process.stderr), env: process.env });
}

/** The exit code where everything worked but the output could not be written completely. */
const unwrittenCode = 3;

/**
 * A command goes on when its output can no longer be written, so that its exit code says what came of it. A reader who has closed
 * the pipe (`… | head -1`) is no error; a full disk or a lost terminal is reported, and ends a command that worked with code 3.
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
