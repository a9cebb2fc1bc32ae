import { spawn } from 'node:child_process';
import type { Writable } from 'node:stream';
import { text } from 'node:stream/consumers';
import { fileURLToPath } from 'node:url';
import { makeTurns } from '../../model/give-way.js';

const entry = fileURLToPath(new URL('./replay-child.js', import.meta.url));
/** A replay takes a core and some hundred megabytes while it lasts. */
const mostWaiting = 16;
const longestMs = 120_000;

export interface Replaying {
  readonly bundle: string;
  readonly run: string;
  /** The events of each history, in Temporal's JSON. */
  readonly histories: readonly (readonly string[])[];
}

export type Replayed =
  | { readonly status: 'replayed' }
  /** `index`: of the first history that does not replay. */
  | { readonly status: 'differs'; readonly index: number; readonly detail: string }
  /** Too many replays wait already. */
  | { readonly status: 'busy' };

let waiting = 0;
let turn: Promise<unknown> = Promise.resolve();

/** Replays histories in a child process. Several calls wait for each other. */
export async function replayKernel(asked: Replaying): Promise<Replayed> {
  if (waiting >= mostWaiting) return { status: 'busy' };
  waiting += 1;
  const mine = turn.then(
    () => runChild(asked),
    () => runChild(asked),
  );
  turn = mine;
  try {
    const { index, problem } = await mine;
    return problem === null ? { status: 'replayed' } : { status: 'differs', index, detail: problem };
  } finally {
    waiting -= 1;
  }
}

interface ChildAnswer {
  readonly index: number;
  readonly problem: string | null;
}

async function runChild(asked: Replaying): Promise<ChildAnswer> {
  const child = spawn(process.execPath, [entry], {
    stdio: ['pipe', 'pipe', 'ignore'],
    timeout: longestMs,
    killSignal: 'SIGKILL',
  });
  const ended = new Promise<void>((resolve, reject) => {
    child.once('error', reject);
    child.once('close', () => resolve());
  });
  // Awaited below; until then a rejection must not end the process.
  ended.catch(() => undefined);
  // A child that ends early closes its input; its output says why.
  child.stdin.on('error', () => undefined);
  await sendToChild(child.stdin, asked);
  const lines = (await text(child.stdout)).trimEnd().split('\n');
  await ended;
  // The last complete line: the child may have been killed while it wrote.
  const said = lines.findLast((line) => line.endsWith('}'));
  if (said === undefined) return { index: 0, problem: 'the replay did not begin' };
  return JSON.parse(said) as ChildAnswer;
}

/** Sends the request as JSON, in which each history is JSON again as a text. It goes event by event, since all of it takes megabytes. */
async function sendToChild(input: Writable, { bundle, run, histories }: Replaying): Promise<void> {
  const turn = makeTurns();
  input.write(`{"bundle":${JSON.stringify(bundle)},"run":${JSON.stringify(run)},"histories":[`);
  for (const [at, events] of histories.entries()) {
    input.write(`${at === 0 ? '' : ','}"${quote('{"events":[')}`);
    for (const [index, event] of events.entries()) {
      input.write(`${index === 0 ? '' : ','}${quote(event)}`);
      await turn();
    }
    input.write(`]}"`);
  }
  input.end(']}');
}

const quote = (part: string): string => JSON.stringify(part).slice(1, -1);
