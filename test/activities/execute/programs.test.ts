import assert from 'node:assert/strict';
import {
  chmodSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  symlinkSync,
  unlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { makePolicies } from '../../../src/service/index.js';
import { makeServiceChain } from '../../../src/audit/index.js';
import { withTransaction } from '../../../src/db/index.js';
import { closeExecutors } from '../../../src/executors/index.js';
import {
  controller,
  makeGoverned,
  starter,
  type Governed,
  type Handle,
} from '../../fail-closed/support/governed.js';
import { writeFiles } from '../../../testing/files.js';

// A person approves a program that is on a machine. Its name, its folder and the path that it is looked for along may come
// to mean another one before it runs.

const place = mkdtempSync(join(tmpdir(), 'countersign-programs-'));
const files = {
  'connections.yaml': `
connections:
  relative: { kind: cli, command: ./pay.sh }
  named: { kind: cli, command: pay.sh, env: { PATH: env://PAY_PATH } }
  linked: { kind: cli, command: ./pay.sh, workingDirectory: ${place}/current }
  link: { kind: cli, command: ${place}/pay }
  server: { kind: mcp, command: ./pay.sh, workingDirectory: ${place}/current }
`,
  'flows/f.yaml': `
workflows:
  f:
    owner: team
    initialState: a
    states:
      a:
        transitions:
${['relative', 'named', 'linked', 'link']
  .map(
    (name) =>
      `          ${name}: { target: a, tier: irreversible, executor: { kind: cli, connection: ${name}, args: [] }, gate: { roles: [finance.controller] } }\n`,
  )
  .join(
    '',
  )}          server: { target: a, tier: irreversible, executor: { kind: mcp, connection: server, tool: pay }, gate: { roles: [finance.controller] } }
`,
};
const ran = join(place, 'ran');
let governed: Governed;
let base: string;

before(async () => {
  for (const folder of ['one', 'two', 'three']) program(join(place, folder));
  link('one', 'current');
  link('one/pay.sh', 'pay');
  process.env['PAY_PATH'] = `${place}/none:${place}/one`;
  governed = await makeGoverned(files);
  base = (await governed.deps.policySet(governed.deps.pool)).baseDirectory;
  program(base);
});
after(async () => {
  delete process.env['PAY_PATH'];
  await closeExecutors();
  await governed.stop();
  rmSync(place, { recursive: true, force: true });
});

/** A program that notes in which folder of programs it stands. */
function program(folder: string): void {
  mkdirSync(folder, { recursive: true });
  writeFileSync(join(folder, 'pay.sh'), `#!/bin/sh\necho ${folder} >> ${ran}\n`);
  chmodSync(join(folder, 'pay.sh'), 0o755);
}

/** `name` leads to `to` from now on. */
function link(to: string, name: string): void {
  rmSync(join(place, name), { force: true });
  symlinkSync(join(place, to), join(place, name));
}

const wasRun = (): string[] => {
  try {
    return readFileSync(ran, 'utf8').trim().split('\n');
  } catch {
    return [];
  } finally {
    rmSync(ran, { force: true });
  }
};

/** The same policies, in a folder elsewhere. */
async function moveTo(folder: string): Promise<void> {
  writeFiles(join(folder, 'policies'), files);
  const { pool } = governed.deps;
  const policies = makePolicies({
    ...{ pool, folder: join(folder, 'policies'), now: () => new Date() },
    transaction: (fn) => withTransaction(pool, fn),
    chain: makeServiceChain({ pool, kind: 'api' }),
  });
  const loaded = await policies.reload({ kind: 'runtime', id: 'test' }, `trc_${folder}`, [], () =>
    Promise.resolve(),
  );
  assert.equal(loaded.status, 'loaded', JSON.stringify(loaded));
}

async function asked(transition: string): Promise<{ run: Handle; approval: string }> {
  const run = await governed.start('f');
  await run.submit(starter, transition);
  return { run, approval: run.state.approvals[0]?.id ?? assert.fail() };
}

async function refusal(run: Handle): Promise<string> {
  assert.equal(run.state.executing, null);
  const told = (await run.records()).findLast(
    ({ type }) => type === 'transition.rejected' || type === 'executor.failed',
  );
  assert.equal(told?.data['code'], 'DIGEST_MISMATCH');
  return String(told.data['message']);
}

const changes: readonly { what: string; transition: string; change: () => unknown; undo: () => unknown }[] = [
  {
    what: 'the policies are loaded from another folder',
    transition: 'relative',
    change: () => moveTo(join(place, 'three')),
    undo: () => moveTo(base),
  },
  {
    what: 'the folder that it runs in is a link that leads elsewhere',
    transition: 'linked',
    change: () => link('two', 'current'),
    undo: () => link('one', 'current'),
  },
  {
    what: 'the folder of an MCP server is a link that leads elsewhere',
    transition: 'server',
    change: () => link('two', 'current'),
    undo: () => link('one', 'current'),
  },
  {
    what: 'the program is a link that leads elsewhere',
    transition: 'link',
    change: () => link('two/pay.sh', 'pay'),
    undo: () => link('one/pay.sh', 'pay'),
  },
  {
    what: 'another program of its name comes first on its path',
    transition: 'named',
    change: () => program(join(place, 'none')),
    undo: () => unlinkSync(join(place, 'none', 'pay.sh')),
  },
  {
    what: 'its path is another one',
    transition: 'named',
    change: () => (process.env['PAY_PATH'] = join(place, 'two')),
    undo: () => (process.env['PAY_PATH'] = `${place}/none:${place}/one`),
  },
  {
    what: 'the program has gone',
    transition: 'link',
    change: () => unlinkSync(join(place, 'pay')),
    undo: () => link('one/pay.sh', 'pay'),
  },
];

describe('what was approved does not run as another program', () => {
  for (const { what, transition, change, undo } of changes) {
    it(`where ${what} before it is decided`, async () => {
      const { run, approval } = await asked(transition);
      await change();
      await run.decide(controller, approval, 'approve');
      await undo();
      assert.match(await refusal(run), /not the one that it was approved for.*ask again/);
      assert.deepEqual(wasRun(), []);
    });

    it(`where ${what} before it is called`, async () => {
      const { run, approval } = await asked(transition);
      await run.decide(controller, approval, 'approve');
      await change();
      await run.execute();
      await undo();
      assert.match(await refusal(run), /not the one that it was approved for.*ask again/);
      assert.deepEqual(wasRun(), []);
    });
  }

  const same = { relative: () => base, named: () => `${place}/one`, linked: () => `${place}/one` };
  for (const [transition, folder] of Object.entries({ ...same, link: () => `${place}/one` }))
    it(`and runs as the one that it was, where nothing has changed: ${transition}`, async () => {
      const { run, approval } = await asked(transition);
      await run.decide(controller, approval, 'approve');
      await run.execute();
      assert.deepEqual(wasRun(), [folder()]);
      assert.equal(run.state.approvals.find((found) => found.id === approval)?.status, undefined);
    });
});
