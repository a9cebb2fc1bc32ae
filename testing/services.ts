import assert from 'node:assert/strict';
import { spawn, type ChildProcess } from 'node:child_process';
import { readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { projectRoot } from './paths.js';
import { temporaryFolder } from './servers/servers.js';

/** An effect of an example service, and the idempotency key of its request. */
export interface EffectSeen {
  readonly key: string;
  readonly body: Readonly<Record<string, unknown>>;
}

/** The example services as real programs, and the effects that they have had. */
export interface Services {
  readonly env: Readonly<Record<string, string>>;
  /** The reimbursements that payroll has made. */
  payments(): Promise<readonly EffectSeen[]>;
  /** The payment drafts that the erp has made. */
  drafts(): Promise<readonly EffectSeen[]>;
  /** Has payroll answer its next requests with these statuses, in order, instead of acting. */
  failPayroll(statuses: readonly number[]): Promise<void>;
  /** Has the erp do its next effect at once, and answer it `delayMs` later. */
  holdErp(delayMs: number): Promise<void>;
  stop(): Promise<void>;
}

export async function startServices(): Promise<Services> {
  const folder = temporaryFolder('services');
  const files = { payroll: join(folder, 'payroll.json'), erp: join(folder, 'erp.json') };
  const payroll = await startService('expense/payroll', { PAYROLL_DATA: files.payroll });
  const erp = await startService('payment/erp', { ERP_DATA: files.erp });
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

async function startService(
  name: string,
  env: Record<string, string>,
): Promise<{ url: string; stop(): Promise<void> }> {
  const child = spawn(process.execPath, [join(projectRoot, 'dist', 'examples', `${name}.js`)], {
    env: { ...process.env, ...env, PORT: '0', STOP_WITH_PARENT: '1' },
    stdio: ['pipe', 'pipe', 'inherit'],
  });
  const url = await waitUntilListening(child, name);
  // The service ends with this process, through its stdin; until then it must not keep a failing test alive.
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
