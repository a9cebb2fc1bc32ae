import assert from 'node:assert/strict';
import { test } from 'node:test';
import { makeChecker, type Catalog } from '../../src/policy/index.js';

// Checks run beside the process that serves, and have an end.

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
const flow = (transitions: number): string => {
  const all = Array.from({ length: transitions }, (_, index) => [`t${index}`, { target: 'done' }]);
  const states = { open: { transitions: Object.fromEntries(all) }, done: { terminal: true } };
  return JSON.stringify({ workflows: { f: { owner: 't', initialState: 'open', states } } });
};

test('a check that takes too long is ended, and the next one is answered', async () => {
  const hasty = makeChecker({ withinMs: 1 });
  assert.deepEqual(await hasty.flow(flow(5_000), 'json', catalog), { status: 'late' });
  const patient = makeChecker();
  assert.equal((await patient.flow(flow(2), 'json', catalog)).status, 'valid');
  assert.equal((await patient.flow('workflows: [', 'yaml', catalog)).status, 'invalid');
});

test('as many checks wait as may, and the others are told so at once', async () => {
  const checker = makeChecker();
  const asked = Array.from({ length: 40 }, () => checker.flow(flow(2), 'json', catalog));
  const statuses = (await Promise.all(asked)).map((one) => one.status);
  assert.deepEqual([...new Set(statuses.slice(0, 32))], ['valid']);
  assert.deepEqual([...new Set(statuses.slice(32))], ['busy']);
});

test('a large text holds back no small one, and this process answers all the while', async () => {
  const checker = makeChecker();
  await Promise.all([checker.flow(flow(1), 'json', catalog), checker.flow(flow(1_000), 'json', catalog)]);
  const done: string[] = [];
  const large = checker.flow(flow(8_000), 'json', catalog).then(() => done.push('large'));
  const small = checker.flow(flow(1), 'json', catalog).then(() => done.push('small'));
  const turn = new Promise((resolve) => setImmediate(resolve)).then(() => done.push('turn'));
  await Promise.all([large, small, turn]);
  assert.deepEqual(done, ['turn', 'small', 'large']);
});
