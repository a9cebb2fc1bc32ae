// Mostly waits: for processes to be missed.
import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { inCampaigns } from '../../testing/samples.js';
import { startStack, type Stack } from '../../testing/servers/stack.js';
import { until } from '../../testing/until.js';

// What `/readyz` says of a worker is so within seconds, and it names what has no value where it would be used.

const policies = {
  'environments.yaml': 'environments: { dev: {}, staging: {} }\n',
  'connections.yaml': `connections:
  given: { kind: rest, baseUrl: https://given.example, headers: { Authorization: env://READINESS_GIVEN } }
  missing:
    environments:
      dev: { kind: rest, baseUrl: https://missing.example }
      staging:
        kind: rest
        baseUrl: https://missing.example
        headers: { Authorization: secret://readiness-missing }
`,
  'notifications.yaml': `channels:
  hook: { kind: webhook, url: https://hook.example, secret: env://READINESS_MISSING }
routes: []
`,
};

describe('/readyz', () => {
  let stack: Stack;
  before(async () => {
    stack = await startStack({ policies, env: { READINESS_GIVEN: 'a token' } });
  });
  after(() => stack.stop());
  const ready = async (): Promise<any> => (await stack.fetchAs(null, 'GET', '/readyz')).body;
  const becomes = (worker: boolean): Promise<unknown> =>
    until(`worker: ${worker}`, async () => ((await ready()).worker === worker ? true : null), 20_000);

  it('warns of references without a value, with file, line and owner, and is ready all the same', async () => {
    const { worker } = await ready();
    assert.equal(worker, true);
    const { warnings } = (await stack.fetchAs('admin', 'GET', '/readyz')).body;
    assert.equal(warnings.length, 2, JSON.stringify(warnings));
    assert.match(
      warnings[0],
      /^connections\.yaml:9: connection `missing` in staging: reference `secret:\/\/readiness-missing` /,
    );
    assert.match(
      warnings[1],
      /^notifications\.yaml:2: channel `hook`: reference `env:\/\/READINESS_MISSING` has no value/,
    );
  });

  it('says how many they are, and not which, to who may not operate it', async () => {
    const answers = [
      stack.fetchAs(null, 'GET', '/readyz'),
      stack.fetchAs('agent', 'GET', '/readyz'),
      stack.fetchAs('auditor', 'GET', '/readyz'),
      stack.fetchAs(null, 'GET', '/readyz', undefined, { authorization: 'Bearer cs_nobody' }),
    ];
    for (const { body } of await Promise.all(answers)) {
      const { warnings } = body;
      assert.match(warnings[0], /^1 reference of a connection has no value/);
      assert.match(warnings[1], /^1 reference of a channel has no value/);
      assert.doesNotMatch(JSON.stringify(warnings), /missing|env:|secret:|yaml/i);
    }
  });

  it('says that no worker serves anything soon after it was frozen, and that one does when it goes on', async () => {
    process.kill(stack.worker.pid, 'SIGSTOP');
    try {
      await becomes(false);
      assert.deepEqual((await ready()).unserved, ['dev', 'staging']);
    } finally {
      process.kill(stack.worker.pid, 'SIGCONT');
    }
    await becomes(true);
  });

  it('says so after it was killed, and when it has ended by itself', inCampaigns, async () => {
    await stack.worker.kill();
    await becomes(false);
    await stack.worker.restart();
    assert.equal((await ready()).worker, true);
    await stack.worker.kill('SIGTERM');
    assert.equal((await ready()).worker, false, 'it has said that it ends');
  });
});
