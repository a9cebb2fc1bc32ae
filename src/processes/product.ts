import { existsSync, readFileSync, realpathSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { z } from 'zod';
import { addressVariable, exampleServices } from '../model/example-services.js';
import { tailOf } from '../embedded/process/system.js';
import { forOperators, startChild } from './child.js';
import type { Part } from './supervisor.js';
import { BootFailure, type Boot } from './servers.js';
import { lastReason } from './settings/database.js';

export interface ProductOptions {
  readonly port: number;
  readonly databaseUrl: string;
  readonly temporalAddress: string;
  /** Run the demonstration's agent too. */
  readonly demo: boolean;
}

const projectRoot = dirname(dirname(dirname(fileURLToPath(import.meta.url))));
const heartbeatMs = 8_000;
const deathsWhileBooting = 4;

/** The running product, for `npm run dev`, which builds it anew while it runs. */
export interface RunningProduct {
  /**
   * Starts API, worker and, where asked, the example services anew, from the present build. Resolves when API and worker
   * answer; rejects where one of them does not stay up, and when the signal is aborted.
   */
  restart(asked: { readonly examples: boolean }, signal: AbortSignal): Promise<void>;
}

/** A Temporal of our own has no TLS and no key, whatever the user's shell says of another one. */
const notForOurTemporal = {
  TEMPORAL_API_KEY: '',
  TEMPORAL_TLS: '',
  TEMPORAL_TLS_CA: '',
  TEMPORAL_TLS_CERT: '',
  TEMPORAL_TLS_KEY: '',
};

/** Starts API and worker; before them the example services, where the policies are those that the product ships. */
export async function bringUpProduct(boot: Boot, options: ProductOptions): Promise<RunningProduct> {
  const { config, processGroup, say, signal } = boot;
  const shipped = isSameFolder(config.policies, join(projectRoot, 'policies'));
  const examples = shipped ? await startExamples(boot) : {};
  const env = {
    ...process.env,
    ...examples,
    ...(config.temporal === null ? notForOurTemporal : {}),
    DATABASE_URL: options.databaseUrl,
    TEMPORAL_ADDRESS: options.temporalAddress,
    COUNTERSIGN_HOME: config.home,
    COUNTERSIGN_POLICIES: config.policies,
    COUNTERSIGN_TASK_QUEUE: config.taskQueue,
    COUNTERSIGN_OWN_TEMPORAL: config.temporal === null ? '1' : '0',
    COUNTERSIGN_OWN_SERVERS: config.databaseUrl === null && config.temporal === null ? '1' : '0',
    HOST: config.host,
    PORT: String(options.port),
    COUNTERSIGN_DEV_KEYS: '1',
  };
  signal.throwIfAborted();
  say('starting the API and a worker');
  const tell = (line: string): void => {
    if (line.startsWith(forOperators)) say(line.slice(forOperators.length));
  };
  const api = { ...makeChildPart(boot, 'api', 'processes/api.js', env, 10_500, tell), port: options.port };
  const worker = makeChildPart(boot, 'worker', 'processes/worker.js', env, 10_500);
  await Promise.all([processGroup.add('product', api).started, processGroup.add('product', worker).started]);
  const url = `http://${hostToCall(config.host)}:${options.port}`;
  for (const warning of await waitUntilReady(boot, url)) say(`warning: ${warning}`);
  announce(boot, url);
  if (shipped && options.demo) startAgent(boot, url);
  return {
    async restart({ examples: isForExamples }, stop) {
      await processGroup.restart(['api', 'worker', ...(isForExamples ? exampleServices : [])]);
      await waitUntilReady({ ...boot, signal: AbortSignal.any([signal, stop]) }, url);
    },
  };
}

function makeChildPart(
  boot: Boot,
  name: string,
  script: string,
  env: NodeJS.ProcessEnv,
  graceMs: number,
  onLine?: (line: string) => void,
): Part & { log: string } {
  const log = logOf(boot.config, name);
  const lines = onLine === undefined ? {} : { onLine };
  return { name, log, start: () => startChild({ name, script, env, log, graceMs, ...lines }) };
}

const logOf = ({ home }: Boot['config'], name: string): string => join(home, 'logs', `${name}.log`);

function isSameFolder(folder: string, other: string): boolean {
  return existsSync(folder) && existsSync(other) && realpathSync(folder) === realpathSync(other);
}

const exampleScripts: Readonly<Record<(typeof exampleServices)[number], string>> = {
  payroll: 'examples/expense/payroll.js',
  erp: 'examples/payment/erp.js',
};

/** Starts the example services; gives the variables under which the shipped connections find them. */
async function startExamples(boot: Boot): Promise<Record<string, string>> {
  const urls: Record<string, string> = {};
  for (const name of exampleServices) {
    const port = await boot.ports.obtain(name);
    const env = { ...process.env, PORT: String(port), HOST: '127.0.0.1', COUNTERSIGN_HOME: boot.config.home };
    boot.processGroup.add('examples', {
      ...makeChildPart(boot, name, exampleScripts[name], env, 2_000),
      port,
    });
    urls[addressVariable(name)] = `http://127.0.0.1:${port}`;
  }
  return urls;
}

const hostToCall = (host: string): string => (host === '0.0.0.0' || host === '::' ? '127.0.0.1' : host);

const readiness = z.looseObject({ worker: z.boolean(), warnings: z.array(z.string()).default([]) });

/** Waits until API, Postgres and Temporal answer (the status of `/readyz`) and a worker does (its body). Gives the warnings. */
async function waitUntilReady(
  { config, processGroup, say, signal }: Boot,
  url: string,
): Promise<readonly string[]> {
  const started = Date.now();
  let said = started;
  for (;;) {
    const found = await fetchReadiness(url, join(config.home, 'dev-keys.json'));
    if (found !== null) return found.warnings;
    signal.throwIfAborted();
    for (const name of ['api', 'worker']) {
      if (processGroup.deaths(name) < deathsWhileBooting) continue;
      const log = logOf(config, name);
      throw new BootFailure(
        `the ${name} process does not stay up; the end of \`${log}\`:\n${lastReason(tailOf(log))}`,
      );
    }
    if (Date.now() - said > heartbeatMs) {
      said = Date.now();
      const seconds = Math.round((said - started) / 1000);
      say(
        `waiting for the API and a worker: ${seconds} s (\`${logOf(config, 'api')}\` and \`${logOf(config, 'worker')}\` say what they wait for)`,
      );
    }
    await delay(50);
  }
}

/** What `/readyz` says; null: not ready. Asked with the admin's key, since only operators are told which references have no value. */
async function fetchReadiness(url: string, keyFile: string): Promise<z.output<typeof readiness> | null> {
  try {
    const { admin } = devKeys.parse(existsSync(keyFile) ? JSON.parse(readFileSync(keyFile, 'utf8')) : {});
    const headers = admin === undefined ? {} : { authorization: `Bearer ${admin}` };
    const response = await fetch(`${url}/readyz`, { headers, signal: AbortSignal.timeout(3_000) });
    const body = readiness.safeParse(await response.json());
    return response.status === 200 && body.success && body.data.worker ? body.data : null;
  } catch {
    return null;
  }
}

function announce({ config, say }: Boot, url: string): void {
  say(`API            ${url}/v1`);
  say(`approvals      ${url}/sign-in (for people, in a browser)`);
  say(`documentation  ${url}/docs`);
  say(`data folder    ${config.home}`);
  // In another folder npx would ask the public registry for the name.
  say(`commands       npx countersign --help, in the folder ${projectRoot}`);
  say(`keys           ${join(config.home, 'dev-keys.json')} (development only)`);
  say(`ready ${url}`);
}

/** A command that can be pasted into a shell in the project's folder, whatever the port and the data folder. */
function makeApproveCommand(home: string, url: string): string {
  const given =
    home === resolve('.countersign') ? '' : `COUNTERSIGN_HOME='${home.replaceAll("'", String.raw`'\''`)}' `;
  return `${given}npx countersign approve {approval} --as finance --url ${url}`;
}

const devKeys = z.record(z.string(), z.string());

/** Starts the demonstration: a program that asks for a payment as an agent would. Its output is shown as ours. */
function startAgent(boot: Boot, url: string): void {
  const { config, processGroup, say } = boot;
  const keyFile = join(config.home, 'dev-keys.json');
  const log = logOf(config, 'agent');
  processGroup.add('agent', {
    name: 'agent',
    log,
    mayFinish: true,
    start() {
      const keys = devKeys.parse(JSON.parse(readFileSync(keyFile, 'utf8')));
      const env = {
        ...process.env,
        COUNTERSIGN_URL: url,
        COUNTERSIGN_KEY: keys['agent'],
        COUNTERSIGN_HOME: config.home,
        APPROVE_COMMAND: makeApproveCommand(config.home, url),
      };
      return startChild({
        name: 'agent',
        script: 'examples/payment/agent.js',
        env,
        log,
        graceMs: 2_000,
        onLine: say,
      });
    },
  });
}
