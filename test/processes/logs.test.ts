import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, mkdtempSync, openSync, readFileSync, rmSync, writeFileSync, existsSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, describe, it } from 'node:test';
import { boundLog, emptyLog } from '../../src/embedded/process/system.js';
import { until } from '../../testing/until.js';

// A process that runs for months writes into one log.

describe('the log of a process that runs', () => {
  const home = mkdtempSync(join(tmpdir(), 'countersign-logs-'));
  after(() => rmSync(home, { recursive: true, force: true }));

  it('is bounded while it runs: it keeps what is new, and one older log', async () => {
    const path = join(home, 'one.log');
    const log = openSync(path, 'a', 0o600);
    const script = `
      process.stdout.write('old\\n' + 'x'.repeat(5_000) + '\\n', () => process.send('written'));
      process.on('message', () => process.stdout.write('new\\n', () => process.send('written')));
    `;
    const child = spawn(process.execPath, ['-e', script], { stdio: ['ignore', log, log, 'ipc'] });
    closeSync(log);
    await once(child, 'message');
    await emptyLog(path, 10_000);
    assert.match(readFileSync(path, 'utf8'), /^old/, 'it is not large yet');
    await emptyLog(path, 1_000);
    child.send('on');
    await once(child, 'message');
    assert.equal(readFileSync(path, 'utf8'), 'new\n');
    assert.match(readFileSync(`${path}.1`, 'utf8'), /^old\nx+\n$/);
    child.kill();
    await once(child, 'exit');
  });

  it('is looked at until the process has ended', async () => {
    const path = join(home, 'two.log');
    const large = 'x'.repeat(11 * 1_024 * 1_024);
    writeFileSync(path, large);
    let end: () => void = () => undefined;
    boundLog(path, new Promise<void>((resolve) => (end = resolve)), 20);
    await until('it is emptied', () => (readFileSync(path, 'utf8') === '' ? true : null), 20_000);
    assert.equal(readFileSync(`${path}.1`, 'utf8').length, large.length);
    end();
  });

  it('may be none', async () => {
    await emptyLog(join(home, 'none.log'), 1);
    assert.ok(!existsSync(join(home, 'none.log.1')));
  });
});
