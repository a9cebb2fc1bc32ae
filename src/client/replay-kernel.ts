import { spawn } from 'node:child_process';
import { text } from 'node:stream/consumers';
import { fileURLToPath } from 'node:url';

const entry = fileURLToPath(new URL('./replay-child.js', import.meta.url));
/** Each takes a core and some hundred megabytes while it lasts. */
const mostWaiting = 16;
const longestMs = 120_000;

export interface Replaying {
  readonly bundle: string;
  readonly run: string;
  /** Temporal's JSON of a history. */
  readonly history: unknown;
}

export type Replayed =
  | { readonly status: 'replayed' }
  | { readonly status: 'differs'; readonly detail: string }
  /** As many wait as this process takes. */
  | { readonly status: 'busy' };

let waiting = 0;
let turn: Promise<unknown> = Promise.resolve();

/** One after the other, each in a process of its own. */
export async function replayKernel(asked: Replaying): Promise<Replayed> {
  if (waiting >= mostWaiting) return { status: 'busy' };
  waiting += 1;
  const mine = turn.then(
    () => runChild(asked),
    () => runChild(asked),
  );
  turn = mine;
  try {
    const { problem } = await mine;
    return problem === null ? { status: 'replayed' } : { status: 'differs', detail: problem };
  } finally {
    waiting -= 1;
  }
}

async function runChild(asked: Replaying): Promise<{ readonly problem: string | null }> {
  const child = spawn(process.execPath, [entry], {
    stdio: ['pipe', 'pipe', 'ignore'],
    timeout: longestMs,
    killSignal: 'SIGKILL',
  });
  const ended = new Promise<void>((resolve, reject) => {
    child.once('error', reject);
    child.once('close', () => resolve());
  });
  // A child that ends early closes its input: what it wrote says why.
  child.stdin.on('error', () => undefined);
  child.stdin.end(JSON.stringify(asked));
  const said = await text(child.stdout);
  await ended;
  if (said === '') return { problem: 'the replay ended without a result' };
  return JSON.parse(said) as { problem: string | null };
}
