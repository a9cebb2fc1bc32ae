import { text } from 'node:stream/consumers';
import { historyFromJSON } from '@temporalio/common/lib/proto-utils.js';
import { DefaultLogger, Runtime, Worker } from '@temporalio/worker';

// A process of its own: replaying takes the event loop for as long as the history is, and the API answers others.
// Reads `{bundle, run, history}` as JSON from its input and writes `{problem}`: null where the history replays.

interface Asked {
  readonly bundle: string;
  readonly run: string;
  readonly history: unknown;
}

const { bundle, run, history } = JSON.parse(await text(process.stdin)) as Asked;
// Temporal's core would log to this process's output, where the answer alone belongs.
const logging = { filter: 'off', forward: {} };
Runtime.install({
  ...{ logger: new DefaultLogger('ERROR'), shutdownSignals: [] },
  telemetryOptions: { logging },
});
const problem = await Worker.runReplayHistory(
  { workflowBundle: { codePath: bundle } },
  historyFromJSON(history),
  run,
).then(
  () => null,
  (error: unknown) => (error instanceof Error ? error.message : 'the history does not replay'),
);
process.stdout.write(JSON.stringify({ problem }), () => process.exit(0));
