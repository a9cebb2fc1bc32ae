import { text } from 'node:stream/consumers';
import { DefaultLogger, Runtime } from '@temporalio/worker';
import { replayHistory } from './replay-history.js';

// Replays in a process of its own, since a replay blocks the event loop for long, and the API must answer others meanwhile.
// Reads `{bundle, run, histories}` as JSON from its input. Before each history it writes a line `{index, problem}`, which holds if
// the process dies in that history; at the end another one, about the first history that does not replay, with null if all do.

interface ReplayRequest {
  readonly bundle: string;
  readonly run: string;
  readonly histories: readonly string[];
}

const { bundle, run, histories } = JSON.parse(await text(process.stdin)) as ReplayRequest;
// Otherwise Temporal's core would log to this process's output, where only the answer belongs.
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
