import assert from 'node:assert/strict';
import { resolve } from 'node:path';
import { test } from 'node:test';
import { readConfig } from '../../src/processes/config.js';

const errorsOf = (env: NodeJS.ProcessEnv): readonly string[] => {
  const result = readConfig(env);
  return result.status === 'invalid' ? result.errors : [];
};

test('nothing needs to be set', () => {
  const result = readConfig({});
  assert.equal(result.status, 'read');
  if (result.status !== 'read') return;
  const { home, policies, host, port, taskQueue, temporal, databaseUrl, devKeys } = result.config;
  assert.deepEqual(
    { home, policies, host, port, taskQueue, temporal, databaseUrl, devKeys },
    {
      home: resolve('.countersign'),
      policies: resolve('policies'),
      host: '127.0.0.1',
      port: null,
      taskQueue: 'countersign',
      temporal: null,
      databaseUrl: null,
      devKeys: false,
    },
  );
});

test('an empty variable is one that is not set', () => {
  assert.deepEqual(readConfig({ PORT: '', DATABASE_URL: '', TEMPORAL_ADDRESS: '' }), readConfig({}));
});

const wrong: readonly (readonly [name: string, value: string, says: RegExp])[] = [
  ['PORT', '65536', /65535 at most/],
  ['PORT', '80a', /must be a port number/],
  ['HOST', 'my-laptop', /must be an IP address/],
  ['DATABASE_URL', 'mysql://db', /must be a postgres:\/\/ URL/],
  ['TEMPORAL_ADDRESS', 'https://temporal', /must be host:port/],
  ['COUNTERSIGN_DEV_KEYS', 'yes', /must be 0 or 1/],
  ['COUNTERSIGN_JWT_ISSUERS', 'none', /JSON/],
  ['COUNTERSIGN_JWT_ISSUERS', '[{"issuer":"https://id.example"}]', /audience/],
];
for (const [name, value, says] of wrong) {
  test(`${name}=${value} is refused, with the name and the value`, () => {
    const [message, ...more] = errorsOf({ [name]: value });
    assert.deepEqual(more, []);
    assert.ok(message?.startsWith(`environment variable ${name} is \`${value}\`: it `), message);
    assert.match(message ?? '', says);
  });
}

test('a password is not repeated in a message', () => {
  const [message] = errorsOf({ DATABASE_URL: 'mysql://me:secret@db/x' });
  assert.match(message ?? '', /`mysql:\/\/…@db\/x`/);
});

test('a Temporal API key means TLS, unless that is switched off', () => {
  const of = (env: NodeJS.ProcessEnv): unknown => {
    const result = readConfig({ TEMPORAL_ADDRESS: 'cluster:7233', TEMPORAL_API_KEY: 'k', ...env });
    return result.status === 'read' ? result.config.temporal : null;
  };
  assert.deepEqual(of({}), { address: 'cluster:7233', tls: {}, apiKey: 'k' });
  assert.deepEqual(of({ TEMPORAL_TLS: '0' }), { address: 'cluster:7233', apiKey: 'k' });
});
