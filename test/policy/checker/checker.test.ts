import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { makeChecker, type Asker, type Catalog } from '../../../src/policy/index.js';
import { inCampaigns } from '../../../testing/samples.js';

// Checks run in threads of their own, and are ended when they take too long.

const environment = { name: 'dev', requireTiers: false, refuseWarnings: false, gateTimeoutMs: 1_000 };
const catalog: Catalog = {
  policySet: {
    v: 1,
    baseDirectory: '/',
    connections: [],
    environments: [environment],
    roles: [],
    queues: [],
  },
  tools: [],
};
const asker: Asker = { principal: 'mina', to: 'check' };
const flow = (transitions: number): string => {
  const all = Array.from({ length: transitions }, (_, index) => [`t${index}`, { target: 'done' }]);
  const states = { open: { transitions: Object.fromEntries(all) }, done: { terminal: true } };
  return JSON.stringify({ workflows: { f: { owner: 't', initialState: 'open', states } } });
};

test('a check that takes too long is ended, and the next one is answered', async () => {
  const hasty = makeChecker({ withinMs: 1 });
  assert.deepEqual(await hasty.flow(flow(5_000), 'json', catalog, asker), { status: 'late' });
  const patient = makeChecker();
  assert.equal((await patient.flow(flow(2), 'json', catalog, asker)).status, 'valid');
  assert.equal((await patient.flow('workflows: [', 'yaml', catalog, asker)).status, 'invalid');
});

test('as many checks wait as may, and the others are told so at once', async () => {
  const checker = makeChecker();
  const asked = Array.from({ length: 40 }, (_, index) =>
    checker.flow(flow(2), 'json', catalog, { principal: `p${index}`, to: 'check' }),
  );
  const statuses = (await Promise.all(asked)).map((answer) => answer.status);
  assert.deepEqual([...new Set(statuses.slice(0, 32))], ['valid']);
  assert.deepEqual([...new Set(statuses.slice(32))], ['busy']);
});

test('a large text holds back no small text, and this process answers all the while', async () => {
  const checker = makeChecker();
  await Promise.all([
    checker.flow(flow(1), 'json', catalog, asker),
    checker.flow(flow(1_000), 'json', catalog, asker),
  ]);
  const done: string[] = [];
  const large = checker.flow(flow(8_000), 'json', catalog, asker).then(() => done.push('large'));
  const small = checker.flow(flow(1), 'json', catalog, asker).then(() => done.push('small'));
  const turn = new Promise((resolve) => setImmediate(resolve)).then(() => done.push('turn'));
  await Promise.all([large, small, turn]);
  assert.deepEqual(done, ['turn', 'small', 'large']);
});

test('one principal has two checks waiting or running, and then others', async () => {
  const checker = makeChecker();
  const ask = async (principal: string, text = flow(2)): Promise<string> =>
    (await checker.flow(text, 'json', catalog, { principal, to: 'check' })).status;
  const large = flow(1_000);
  const asked = [ask('mina'), ask('mina', large), ask('mina'), ask('mina', large), ask('omar')];
  assert.deepEqual(await Promise.all(asked), ['valid', 'valid', 'busy', 'busy', 'valid']);
  assert.equal(await ask('mina'), 'valid', 'a seat is free again when its check is done');
});

test('checks hold back nobody who publishes, whoever asks for them', inCampaigns, async () => {
  const checker = makeChecker({ withinMs: 60_000 });
  const done: string[] = [];
  const checks = Array.from({ length: 32 }, (_, index) =>
    checker
      .flow(flow(1_000), 'json', catalog, { principal: `p${index >> 1}`, to: 'check' })
      .then(({ status }) => done.push(status)),
  );
  const publish = (text: string): Promise<number> =>
    checker
      .flow(text, 'json', catalog, { principal: 'p0', to: 'publish' })
      .then(({ status }) => done.push(`published: ${status}`));
  await publish(flow(2));
  await publish(flow(1_000));
  assert.deepEqual(done.filter((status) => status !== 'valid').length, 2);
  assert.ok(done.length < 32, 'most checks are waiting still');
  await Promise.all(checks);
  assert.equal(done.filter((status) => status === 'valid').length, 32);
});

test('a flow beside the folder that takes too long is ended, and the next one is compiled; who is patient waits', async () => {
  const root = mkdtempSync(join(tmpdir(), 'countersign-checker-'));
  const given = (patient: boolean) => ({ root, patient, knownQueues: () => Promise.resolve([]) });
  const checker = makeChecker({ publishedMs: 1 });
  const compiled = (patient: boolean, hasty?: 'hasty') =>
    checker.folder(given(patient), async (loaded, compile) => {
      assert.equal(loaded.status, 'loaded');
      const large = await compile(flow(8_000), hasty);
      return [large.status, (await checker.flow(flow(2), 'json', catalog, asker)).status];
    });
  assert.deepEqual(await compiled(false), ['late', 'valid']);
  assert.deepEqual(await compiled(true), ['valid', 'valid']);
  assert.deepEqual(await compiled(true, 'hasty'), ['late', 'valid']);
  const patient = makeChecker();
  const both = await patient.folder(given(false), async (_loaded, compile) => [
    await compile(flow(3)),
    await compile('workflows: ['),
  ]);
  assert.ok(Array.isArray(both));
  assert.deepEqual(
    both.map(({ status }) => status),
    ['valid', 'invalid'],
  );
  const [first] = both;
  assert.ok(first?.status === 'valid');
  assert.equal(typeof first.flow.plan, 'string', 'a plan of megabytes is passed on as text');
  rmSync(root, { recursive: true });
});
