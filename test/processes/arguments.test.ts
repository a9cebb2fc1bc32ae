import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { answerInstead, type ServiceCommandName } from '../../src/processes/arguments.js';
import { projectRoot } from '../../testing/paths.js';

const names: readonly ServiceCommandName[] = ['up', 'api', 'worker', 'migrate'];

describe('a command that runs the service', () => {
  it('is run with its own options, and with none', () => {
    for (const name of names) assert.equal(answerInstead(name, []), null);
    assert.equal(answerInstead('up', ['--no-demo']), null);
    assert.equal(answerInstead('migrate', ['--forget-temporal']), null);
  });

  it('passes over a `--` by itself, which pnpm hands on, wherever it stands, and nothing behind it', () => {
    for (const name of names) assert.equal(answerInstead(name, ['--']), null);
    assert.equal(answerInstead('up', ['--', '--no-demo']), null);
    assert.equal(answerInstead('migrate', ['--forget-temporal', '--']), null);
    assert.equal(answerInstead('up', ['--', '--no-dmeo'])?.code, 2);
    assert.equal(answerInstead('api', ['---'])?.code, 2);
  });

  it('refuses whatever else it is given, and says what was meant', () => {
    const wrong: [ServiceCommandName, string[], string][] = [
      [
        'migrate',
        ['--forget-tempral'],
        '`migrate` does not take `--forget-tempral`: did you mean `--forget-temporal`?',
      ],
      [
        'migrate',
        ['-forget-temporal'],
        '`migrate` does not take `-forget-temporal`: did you mean `--forget-temporal`?',
      ],
      [
        'migrate',
        ['forget-temporal'],
        '`migrate` does not take `forget-temporal`: did you mean `--forget-temporal`?',
      ],
      ['migrate', ['--forget-temporal=no'], '`--forget-temporal` takes no value'],
      [
        'migrate',
        ['--forget-temporal', '--dry-run'],
        '`migrate` does not take `--dry-run`\nusage: countersign migrate [--forget-temporal]',
      ],
      ['api', ['--port', '9'], '`api` does not take `--port`\nusage: countersign api'],
      ['worker', ['--key=s3cret'], '`worker` does not take `--key`\nusage: countersign worker'],
      [
        'api',
        ['DATABASE_URL=postgres://cs:s3cret@db/cs'],
        '`api` does not take `DATABASE_URL` as an argument: a setting is an environment variable\nusage: countersign api',
      ],
      [
        'worker',
        ['postgres://cs:s3cret@db/cs'],
        '`worker` does not take `postgres`\nusage: countersign worker',
      ],
      ['worker', ['a\u001b[2J'], '`worker` does not take `a\\u{1b}[2J`\nusage: countersign worker'],
      [
        'migrate',
        ['COUNTERSIGN_KEK: s3cret'],
        '`migrate` does not take `COUNTERSIGN_KEK`\nusage: countersign migrate [--forget-temporal]',
      ],
      ['api', [`'cs_${'k'.repeat(43)}'`], '`api` does not take `an API key`\nusage: countersign api'],
      ['up', [''], '`up` does not take ``\nusage: countersign up [--no-demo]'],
    ];
    for (const [name, args, text] of wrong) assert.deepEqual(answerInstead(name, args), { code: 2, text });
  });

  it('says what it takes, and does nothing, where its help is asked for', () => {
    for (const name of names)
      for (const args of [['--help'], ['-h'], ['--nonsense', '--help']]) {
        const instead = answerInstead(name, args);
        assert.equal(instead?.code, 0);
        assert.match(instead.text, new RegExp(`^usage: countersign ${name}\\b`));
      }
  });

  it('looks at its arguments before its settings, as a program too', () => {
    const run = (...args: string[]): { code: number | null; out: string; err: string } => {
      const { status, stdout, stderr } = spawnSync(
        process.execPath,
        [join(projectRoot, 'bin', 'countersign.mjs'), ...args],
        { encoding: 'utf8', env: { ...process.env, DATABASE_URL: '', TEMPORAL_ADDRESS: '' } },
      );
      return { code: status, out: stdout, err: stderr };
    };
    for (const name of names) {
      const help = run(name, '--help');
      assert.equal(help.code, 0, help.err);
      assert.match(help.out, new RegExp(`^usage: countersign ${name}\\b`));
      const wrong = run(name, 'nonsense');
      assert.deepEqual([wrong.code, wrong.out], [2, '']);
      assert.match(wrong.err, new RegExp(`^\`${name}\` does not take \`nonsense\`\nusage: `, 'm'));
    }
  });
});
