import { createServer } from 'node:http';
import { DBOSClient } from '@dbos-inc/dbos-sdk';

// The process in which people decide, separate from the executor as an API process would be: `POST /<id>` approves.

const [, , port, systemDatabaseUrl] = process.argv;
if (port === undefined || systemDatabaseUrl === undefined) throw new Error('two arguments');
const client = await DBOSClient.create({ systemDatabaseUrl });
const server = createServer((request, response) => {
  client.send(request.url?.slice(1) ?? '', 'approve', 'decision').then(
    () => response.writeHead(202).end(),
    (error: unknown) => response.writeHead(500).end(String(error)),
  );
});
server.listen(Number(port), '127.0.0.1', () => process.stdout.write('working\n'));
process.on('SIGTERM', () => process.exit(0));
