import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { before, describe, it } from 'node:test';
import { promisify } from 'node:util';
import { asSuperuser } from '../../testing/servers/database.js';
import { audit, getRun, startRun, submit, until } from '../../testing/flows.js';
import { projectRoot } from '../../testing/paths.js';
import { joinStack } from '../../testing/servers/joint-stack.js';
import type { Stack } from '../../testing/servers/stack.js';
import { policies } from './kept-run.js';

// The failure table of docs/reliability.md: what a poisoned message does to a real service, and what it does not.

const joint = joinStack(() => {
  const paths = ['roles.yaml', 'tools/note.yaml', 'flows/kept.yaml'];
  // Other files that join have a tool of that name.
  const files = paths.map((path) => [path, (policies[path] ?? '').replaceAll('note.', 'memo.')] as const);
  return { policies: Object.fromEntries(files) };
});

describe('a message over which our own code fails', () => {
  let stack: Stack;
  before(async () => {
    stack = await joint();
    // What our own code writes and the store does not take stands here for a bug.
    await asSuperuser(
      stack.databaseUrl,
      `alter table action add constraint poison check (transition <> 'poison')`,
    );
  });

  const failures = async (): Promise<number> => {
    const { body } = await stack.fetchAs('admin', 'GET', '/metrics');
    const found = /^countersign_internal_errors_total\{process="worker"\} (\d+)$/m.exec(String(body));
    return Number(found?.[1] ?? 0);
  };

  it('makes its run stuck and is answered; the worker lives, counts it, and keeps all other runs going', async () => {
    const { pid } = stack.worker;
    const [poisoned, ...others] = await Promise.all(
      Array.from({ length: 6 }, () => startRun(stack, 'agent', 'kept', {})),
    );
    assert.ok(poisoned !== undefined);
    const before = await failures();
    const [told, ...answers] = await Promise.all([
      submit(stack, 'agent', poisoned.run.id, 'poison'),
      ...others.map(({ run }) => submit(stack, 'agent', run.id, 'look')),
    ]);
    assert.deepEqual([told.status, told.body.code], [409, 'RUN_STUCK'], JSON.stringify(told));
    for (const { status, body } of answers) assert.equal(status, 200, JSON.stringify(body));
    const { run } = await getRun(stack, 'agent', poisoned.run.id);
    assert.deepEqual([run.status, run.problem?.code], ['stuck', 'STEP_FAILED']);
    assert.equal((await audit(stack, poisoned.run.id, 'run.stuck')).length, 1);
    const counted = await until('the failures to be counted', async () => {
      const count = (await failures()) - before;
      return count > 0 ? count : null;
    });
    // Once over all that arrived together, or for itself alone: three times each.
    assert.ok(counted >= 3, `${counted}`);
    const retried = await stack.fetchAs('admin', 'POST', `/v1/runs/${poisoned.run.id}/retry`, {
      reason: 'a test',
    });
    assert.ok(retried.status < 300, JSON.stringify(retried.body));
    assert.equal((await submit(stack, 'agent', poisoned.run.id, 'look')).status, 200);
    assert.deepEqual([stack.worker.running, stack.worker.pid], [true, pid]);
  });
});

describe('a promise that nobody awaited', () => {
  it('is logged and counted when it is rejected, and the process lives', async () => {
    const script = `
      const { makeInternalErrors } = await import('./src/processes/watch/internal-errors.ts');
      const errors = makeInternalErrors((line) => console.log(line.split('\\n')[0]));
      void Promise.reject(new Error('of one run'));
      setTimeout(() => console.log('alive', errors.count()), 50);
    `;
    const args = ['--import', 'tsx', '--input-type=module', '--eval', script];
    const { stdout } = await promisify(execFile)(process.execPath, args, { cwd: join(projectRoot) });
    assert.equal(stdout, 'internal error in a promise that nobody awaited: Error: of one run\nalive 1\n');
  });
});
