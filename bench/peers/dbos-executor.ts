import { createServer } from 'node:http';
import { DBOS } from '@dbos-inc/dbos-sdk';
import { effect } from './effect.js';

// start -> wait for approval -> one HTTP effect -> done, on DBOS. `POST /<id>` starts a run, as an application's own API would.
// Prints `waiting <id>` when a run begins to wait.

const [, , port, target, systemDatabaseUrl] = process.argv;
if (port === undefined || target === undefined || systemDatabaseUrl === undefined)
  throw new Error('three arguments');

const yearSeconds = 365 * 86_400;
const gate = DBOS.registerWorkflow(
  async (): Promise<string | null> => {
    const run = DBOS.workflowID ?? '';
    process.stdout.write(`waiting ${run}\n`);
    const decision = await DBOS.recv<string>('decision', yearSeconds);
    if (decision === 'approve') await DBOS.runStep(() => effect(target, run), { name: 'effect' });
    return decision;
  },
  { name: 'gate' },
);

// The version and the executor stay the same, so that a restart recovers the runs that waited.
const fixed = { applicationVersion: 'bench', executorID: 'bench' };
DBOS.setConfig({ name: 'bench', systemDatabaseUrl, logLevel: 'error', ...fixed });
await DBOS.launch();
const server = createServer((request, response) => {
  DBOS.startWorkflow(gate, { workflowID: request.url?.slice(1) ?? '' })().then(
    () => response.writeHead(202).end(),
    (error: unknown) => response.writeHead(500).end(String(error)),
  );
});
server.listen(Number(port), '127.0.0.1', () => process.stdout.write('working\n'));
process.on('SIGTERM', () => process.exit(0));
