import assert from 'node:assert/strict';
import { spawn, type ChildProcess } from 'node:child_process';
import { readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { projectRoot } from './paths.js';
import { temporaryFolder } from './servers/servers.js';

/** One effect of an example service, and the idempotency key that it came with. */
export interface EffectSeen {
  readonly key: string;
  readonly body: Readonly<Record<string, unknown>>;
}

/** The example services as real programs, and what they were made to do. */
export interface Services {
  readonly env: Readonly<Record<string, string>>;
  /** Reimbursements by payroll. */
  payments(): Promise<readonly EffectSeen[]>;
  /** Payment drafts by the erp. */
  drafts(): Promise<readonly EffectSeen[]>;
  /** Answers the next requests with these statuses, in order, instead of acting. */
  failPayroll(statuses: readonly number[]): Promise<void>;
  /** The erp's next effect is done at once, and answered this much later. */
  holdErp(delayMs: number): Promise<void>;
  stop(): Promise<void>;
}

export async function startServices(): Promise<Services> {
  const folder = temporaryFolder('services');
  const files = { payroll: join(folder, 'payroll.json'), erp: join(folder, 'erp.json') };
  const payroll = await startOne('expense/payroll', { PAYROLL_DATA: files.payroll });
  const erp = await startOne('payment/erp', { ERP_DATA: files.erp });
  const script = async (url: string, body: object): Promise<void> => {
    const response = await fetch(`${url}/_fail`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify(body),
    });
    assert.equal(response.status, 200);
  };
  return {
    env: { PAYROLL_URL: payroll.url, ERP_URL: erp.url },
    payments: async () => readEffects(files.payroll),
    drafts: async () => readEffects(files.erp),
    failPayroll: (statuses) => script(payroll.url, { statuses }),
    holdErp: (delayMs) => script(erp.url, { delaysMs: [delayMs] }),
    stop: async () => {
      await Promise.all([payroll.stop(), erp.stop()]);
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

async function startOne(
  name: string,
  env: Record<string, string>,
): Promise<{ url: string; stop(): Promise<void> }> {
  const child = spawn(process.execPath, [join(projectRoot, 'dist', 'examples', `${name}.js`)], {
    env: { ...process.env, ...env, PORT: '0', STOP_WITH_PARENT: '1' },
    stdio: ['pipe', 'pipe', 'inherit'],
  });
  const url = await waitUntilListening(child, name);
  // Its stdin ends it with this process: waiting for it must not keep a failing test alive.
  child.unref();
  for (const stream of [child.stdin, child.stdout]) (stream as unknown as { unref(): void }).unref();
  return { url, stop: () => endChild(child) };
}

function waitUntilListening(child: ChildProcess, name: string): Promise<string> {
  return new Promise((resolve, reject) => {
    child.on('error', reject).on('exit', (code) => reject(new Error(`${name} ended with ${String(code)}`)));
    if (child.stdout === null) return reject(new Error('no stdout'));
    createInterface(child.stdout).on('line', (line) => {
      const url = /listening on (http:\S+)/.exec(line)?.[1];
      if (url !== undefined) resolve(url);
    });
  });
}

async function endChild(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null) return;
  const gone = new Promise((resolve) => child.once('exit', resolve));
  child.ref();
  child.kill('SIGTERM');
  await gone;
}

function readEffects(file: string): EffectSeen[] {
  let text: string;
  try {
    text = readFileSync(file, 'utf8');
  } catch {
    return [];
  }
  const book = JSON.parse(text) as { answers: Record<string, { answer: { body: Record<string, unknown> } }> };
  return Object.entries(book.answers).map(([key, { answer }]) => ({ key, body: answer.body }));
}
