import { rmSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { startGuardedServer, type GuardedServer } from '../../src/embedded/process/guarded-server.js';
import { freePort } from '../../src/embedded/process/ports.js';
import { preparePostgres } from '../../src/embedded/postgres/postgres.js';
import { runCommand } from '../../src/embedded/process/system.js';
import { newId } from '../../src/model/names/ids.js';
import { projectRoot } from '../../testing/paths.js';
import { until } from '../../testing/until.js';
import { temporaryFolder } from '../../testing/servers/servers.js';
import { makeChild, postTo, type Child } from './child.js';
import { databaseMb } from './governed.js';
import { folderMb } from './memory.js';
import type { Side } from './side.js';

const peers = join(projectRoot, 'bench', 'peers');
const newRun = (): string => newId('run').replace('run_', 'peer_');

const makePeer = (script: string, args: readonly string[]): Promise<Child> =>
  makeChild(join(peers, script), args, join(peers, 'node_modules'));

/** Installs Restate and DBOS. Gives null, or the reason why they are not there. */
export async function installPeers(): Promise<string | null> {
  const args = ['ci', '--ignore-scripts', '--no-audit', '--no-fund'];
  const { code, stderr } = await runCommand('npm', args, { cwd: peers });
  return code === 0 ? null : `\`npm ${args.join(' ')}\` in bench/peers failed: ${stderr.trim().slice(-400)}`;
}

export async function startRestate(target: string): Promise<Side> {
  const folder = temporaryFolder('restate');
  const [node, ingress, admin, service] = await freePorts(4);
  const worker = await makePeer('restate-service.ts', [String(service), target]);
  const server = await launchRestate(folder, { node, ingress, admin });
  const stop = async (): Promise<void> => {
    await worker.kill('SIGKILL');
    await server.stop();
    rmSync(folder, { recursive: true, force: true });
  };
  try {
    await worker.start();
    await until(
      'Restate to know its service',
      async () => {
        const known = postTo(`http://127.0.0.1:${admin}/deployments`, { uri: `http://127.0.0.1:${service}` });
        return known.then(
          () => true,
          () => null,
        );
      },
      60_000,
    );
  } catch (error) {
    await stop();
    throw error;
  }
  const door = `http://127.0.0.1:${ingress}/gate`;
  return {
    name: 'restate',
    about: 'a workflow that waits for a durable promise, put aside after a second; decided by its ingress',
    async park() {
      const id = newRun();
      await postTo(`${door}/${id}/run/send`);
      return { id, decide: () => postTo(`${door}/${id}/decide`, 'approve') };
    },
    parked: worker.waiting,
    worker,
    processes: () => ({ worker: worker.pid, restate: server.pid }),
    stored: () => Promise.resolve({ restate: folderMb(folder) }),
    stop,
  };
}

interface RestatePorts {
  readonly node: number;
  readonly ingress: number;
  readonly admin: number;
}

function launchRestate(folder: string, { node, ingress, admin }: RestatePorts): Promise<GuardedServer> {
  const env = {
    RESTATE_DISABLE_TELEMETRY: 'true',
    RESTATE_LISTEN_MODE: 'tcp',
    RESTATE_BIND_IP: '127.0.0.1',
    RESTATE_BIND_PORT: String(node),
    RESTATE_INGRESS__BIND_PORT: String(ingress),
    RESTATE_ADMIN__BIND_PORT: String(admin),
    RESTATE_LOG_FILTER: 'error',
  };
  const { resolve } = createRequire(
    join(peers, 'node_modules', '@restatedev', 'restate-server', 'lib', 'index.js'),
  );
  const command = resolve(
    `@restatedev/restate-server-${process.platform}-${process.arch}/bin/restate-server`,
  );
  return startGuardedServer({
    ...{ name: 'restate', command, args: ['--base-dir', folder, '--no-logo'], env, cwd: folder, user: null },
    ...{ log: join(folder, 'restate.log'), stopSignal: 'SIGTERM', graceMs: 5_000, group: false },
  });
}

export async function startDbos(target: string): Promise<Side> {
  const home = temporaryFolder('dbos');
  const postgres = await preparePostgres({ home, choosePort: freePort, say: () => undefined });
  const server = await postgres.launch(new AbortController().signal);
  await postgres.createDatabase('dbos');
  const url = postgres.url('dbos');
  const [port, doorPort] = await freePorts(2);
  const worker = await makePeer('dbos-executor.ts', [String(port), target, url]);
  const door = await makePeer('dbos-door.ts', [String(doorPort), url]);
  const stop = async (): Promise<void> => {
    await worker.kill('SIGKILL');
    await door.kill('SIGKILL');
    await server.stop();
    await postgres.close();
    rmSync(home, { recursive: true, force: true });
  };
  try {
    // The executor is started first: the first to connect makes the tables.
    await worker.start();
    await door.start();
  } catch (error) {
    await stop();
    throw error;
  }
  return {
    name: 'dbos',
    about:
      'a workflow that waits in `recv`, in one executor on a Postgres of its own; decided by a client of its own',
    async park() {
      const id = newRun();
      await postTo(`http://127.0.0.1:${port}/${id}`);
      return { id, decide: () => postTo(`http://127.0.0.1:${doorPort}/${id}`) };
    },
    parked: worker.waiting,
    worker,
    processes: () => ({ worker: worker.pid, door: door.pid, postgres: server.pid }),
    stored: async () => ({ postgres: await databaseMb(url) }),
    stop,
  };
}

async function freePorts<Count extends 2 | 4>(count: Count): Promise<[number, number, number, number]> {
  const ports = [];
  for (let left: number = count; left > 0; left -= 1) ports.push(await freePort());
  const [a = 0, b = 0, c = 0, d = 0] = ports;
  return [a, b, c, d];
}
