import { text } from 'node:stream/consumers';
import { DefaultLogger, Runtime } from '@temporalio/worker';
import { replayHistory } from './replay-history.js';

// A process of its own: replaying takes the event loop for as long as the history is, and the API answers others.
// Reads `{bundle, run, histories}` as JSON from its input and writes a line `{index, problem}` before each history, as if it
// had not ended, and one more: of the first history that does not replay, or null where all do.

interface ReplayRequest {
  readonly bundle: string;
  readonly run: string;
  readonly histories: readonly string[];
}

const { bundle, run, histories } = JSON.parse(await text(process.stdin)) as ReplayRequest;
// Temporal's core would log to this process's output, where the answer alone belongs.
const logging = { filter: 'off', forward: {} };
Runtime.install({
  logger: new DefaultLogger('ERROR'),
  shutdownSignals: [],
  telemetryOptions: { logging },
});
const say = (line: { index: number; problem: string | null }): string => `${JSON.stringify(line)}\n`;
let said = say({ index: 0, problem: null });
for (const [index, history] of histories.entries()) {
  process.stdout.write(say({ index, problem: 'the replay ended without a result' }));
  const problem = await replayHistory(bundle, run, JSON.parse(history));
  said = say({ index, problem });
  if (problem !== null) break;
}
process.stdout.write(said, () => process.exit(0));
