// `npm run replay -- FILE…` replays histories on the kernel of this build. A file is an answer of `GET /v1/runs/{id}/history`, the
// JSON of `temporal workflow show`, or a file of test/histories. The workflow runs on the main thread, so that `node --inspect-brk
// scripts/replay.mjs FILE` stops at a breakpoint or at `debugger`.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { ensureBuilt, ensureInstalled, root, say, stopSignal } from './lib.mjs';

const signal = stopSignal();
await ensureInstalled(signal);
await ensureBuilt(signal);
// Imported only now, because they may have been installed just before.
const { historyFromJSON } = await import('@temporalio/common/lib/proto-utils.js');
const { DefaultLogger, Runtime, Worker } = await import('@temporalio/worker');

const options = {
  workflowBundle: { codePath: join(root, 'dist', 'workflow-bundle.js') },
  dataConverter: { payloadConverterPath: join(root, 'dist', 'workflows', 'payload-converter.js') },
  debugMode: true,
};
Runtime.install({ logger: new DefaultLogger('ERROR'), shutdownSignals: [] });
const files = process.argv.slice(2);
if (files.length === 0)
  fail('usage: npm run replay -- <file with a history, as `GET /v1/runs/{id}/history` answers it>…');
for (const file of files)
  for (const events of historiesIn(file)) {
    const history = historyFromJSON({ events });
    const run = history.events[0].workflowExecutionStartedEventAttributes.workflowId;
    // The SDK would wait for the first task.
    if (!history.events.some((event) => event.workflowTaskScheduledEventAttributes)) {
      say(`${run}: it has not begun, so there is nothing to replay`);
      continue;
    }
    const problem = await Worker.runReplayHistory(options, history, run).then(
      () => null,
      (error) => error.message,
    );
    say(`${run}: ${problem === null ? `${events.length} events replay` : `does not replay: ${problem}`}`);
    if (problem !== null) process.exitCode = 1;
  }
process.exit();

function fail(why) {
  process.stderr.write(`${why}\n`);
  process.exit(2);
}

function historiesIn(file) {
  try {
    const executions = executionsIn(JSON.parse(readFileSync(file, 'utf8')));
    if (executions.length > 0) return executions;
  } catch (error) {
    fail(`\`${file}\` is no history: ${error.message}`);
  }
  return fail(`\`${file}\` is no history: it has no events`);
}

/** A run that continued as new has several histories, one after the other. */
function executionsIn({ events = [] }) {
  const starts = events.flatMap(({ eventId }, index) => (String(eventId) === '1' ? [index] : []));
  return starts.map((start, index) => events.slice(start, starts[index + 1]));
}
