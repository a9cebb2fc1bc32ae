import { spawn, type ChildProcess } from 'node:child_process';
import { basename, join } from 'node:path';
import { createInterface } from 'node:readline';
import { build } from 'esbuild';
import { preloads } from '../../src/processes/child.js';
import { projectRoot } from '../../testing/paths.js';

// A process that prints `working` when it works, and `waiting <id>` when one of its runs begins to wait.

export interface Child {
  readonly pid: number;
  /** Counts the distinct runs that have begun to wait, over all restarts of the process. */
  waiting(): number;
  kill(signal: NodeJS.Signals): Promise<void>;
  /** Resolves when it works. */
  start(): Promise<void>;
}

/**
 * Compiles a script, so that it starts as fast as a deployed program; does not start it yet. `packages` is the folder of packages
 * that the script uses.
 */
export async function makeChild(
  script: string,
  args: readonly string[],
  packages = join(projectRoot, 'node_modules'),
): Promise<Child> {
  const outfile = join(packages, '.bench', `${basename(script, '.ts')}.mjs`);
  const shape = {
    bundle: true,
    packages: 'external',
    format: 'esm',
    platform: 'node',
    target: 'node20',
  } as const;
  await build({ entryPoints: [script], outfile, ...shape, logLevel: 'warning' });
  const seen = new Set<string>();
  let child: ChildProcess | null = null;
  let gone: Promise<unknown> = Promise.resolve();
  return {
    get pid() {
      return child?.pid ?? 0;
    },
    waiting: () => seen.size,
    async kill(signal) {
      child?.kill(signal);
      await gone;
    },
    async start() {
      // Tied to the benchmark by its stdin: it ends when the benchmark ends, for whatever reason.
      const imports = preloads.flatMap((file) => ['--import', join(projectRoot, 'dist', 'processes', file)]);
      const started = spawn(process.execPath, [...imports, outfile, ...args], {
        cwd: projectRoot,
        stdio: ['pipe', 'pipe', 'inherit'],
      });
      child = started;
      const ended = new Promise<string>((resolve) =>
        started.once('exit', (code, signal) => resolve(String(code ?? signal))),
      );
      gone = ended;
      await new Promise<void>((resolve, reject) => {
        createInterface(started.stdout).on('line', (line) => {
          if (line === 'working') resolve();
          if (line.startsWith('waiting ')) seen.add(line.slice('waiting '.length));
        });
        void ended.then((how) => reject(new Error(`\`${script}\` ended with ${how} before it worked`)));
      });
    },
  };
}

/** Sends a POST; throws if it is not answered with success. */
export async function postTo(url: string, body?: unknown): Promise<void> {
  const headers = { 'content-type': 'application/json' };
  const init = body === undefined ? {} : { headers, body: JSON.stringify(body) };
  const response = await fetch(url, { method: 'POST', ...init });
  const text = await response.text();
  if (!response.ok) throw new Error(`${url} answered ${response.status}: ${text}`);
}
