import { spawn, type ChildProcess } from 'node:child_process';
import { readFileSync, rmSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { freePort } from '../../src/embedded/process/ports.js';
import { until } from '../until.js';
import { projectRoot } from '../paths.js';
import { temporaryFolder } from './servers.js';

export interface ProductOptions {
  readonly home: string;
  readonly env?: Readonly<Record<string, string>>;
  readonly args?: readonly string[];
  /** The script that is run; by default `scripts/start.mjs` of this project. */
  readonly script?: string;
}

interface Ended {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
}

/** The product as `npm start` runs it, started as from a terminal. */
export interface Product {
  readonly home: string;
  readonly pid: number;
  output(): string;
  readonly exited: Promise<Ended>;
  /** Waits for the line `ready …` and gives its URL. */
  ready(ms?: number): Promise<string>;
  /** Waits for a line and gives what the pattern matched. */
  line(pattern: RegExp, ms?: number): Promise<RegExpMatchArray>;
  /** The content of processes.json in its data folder. */
  processes(): Readonly<Record<string, { readonly pid: number; readonly port?: number }>>;
  keys(): Readonly<Record<string, string>>;
  signal(signal: NodeJS.Signals): void;
  /** Sends SIGTERM and waits until the product has ended. */
  stop(): Promise<Ended>;
}

/** The port is free unless `env` sets PORT; an empty PORT means the product's default. */
export async function startProduct(options: ProductOptions): Promise<Product> {
  const { home, env = {}, args = [], script = join(projectRoot, 'scripts', 'start.mjs') } = options;
  const port = env['PORT'] ?? String(await freePort());
  const child = spawn(process.execPath, [script, ...args], {
    cwd: dirname(dirname(script)),
    env: { ...process.env, COUNTERSIGN_HOME: home, ...env, PORT: port },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  return follow(child, home);
}

/** Starts the product without its demo, and waits until it is ready. Its data folder is its own, and is removed when it stops. */
export async function startReadyProduct(name: string): Promise<Product> {
  const home = temporaryFolder(name);
  const product = await startProduct({ home, args: ['--no-demo'] });
  const stop = async (): Promise<Ended> => {
    const ended = await product.stop();
    rmSync(home, { recursive: true, force: true });
    return ended;
  };
  try {
    await product.ready(120_000);
  } catch (error) {
    await stop();
    throw error;
  }
  return { ...product, stop };
}

function follow(child: ChildProcess, home: string): Product {
  let output = '';
  for (const stream of [child.stdout, child.stderr]) {
    stream?.on('data', (chunk: Buffer) => (output += chunk.toString()));
  }
  const exited = new Promise<Ended>((resolve, reject) => {
    child.on('error', reject);
    child.on('close', (code, signal) => resolve({ code, signal }));
  });
  const line = (pattern: RegExp, ms = 60_000): Promise<RegExpMatchArray> =>
    until(
      `a line like ${String(pattern)}`,
      () => {
        const found = output.match(pattern);
        if (found === null && child.exitCode !== null) throw new Error(`the product ended:\n${output}`);
        return found;
      },
      ms,
    ).catch((error: unknown) => {
      throw new Error(`${String(error)}\n${output}`);
    });
  const json = <T>(file: string): T => JSON.parse(readFileSync(join(home, file), 'utf8')) as T;
  return {
    home,
    pid: child.pid as number,
    output: () => output,
    exited,
    line,
    ready: async (ms) => (await line(/^ready (http:\S+)$/m, ms))[1] as string,
    processes: () => json('processes.json'),
    keys: () => json('dev-keys.json'),
    signal: (signal) => void child.kill(signal),
    stop() {
      child.kill('SIGTERM');
      return exited;
    },
  };
}
