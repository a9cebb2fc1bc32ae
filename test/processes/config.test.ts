import assert from 'node:assert/strict';
import { readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { after, test } from 'node:test';
import { placeOf, readConfig } from '../../src/processes/settings/config.js';
import { temporaryFolder } from '../../testing/servers/servers.js';

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

const forms: readonly (readonly [written: string, says: RegExp])[] = [
  ['mysql://me:S3CRET@db/x', /must be a URL like `postgres:/],
  ['jdbc:postgresql://db:5432/x?user=me&password=S3CRET', /must be a URL like `postgres:/],
  ['host=db user=me password=S3CRET', /must be a URL like `postgres:/],
  ['postgresql+psycopg2://me:a/S3CRET@db', /must be a URL like `postgres:/],
  ['"postgres://me:a@S3CRET@db/x"', /must be a URL like `postgres:/],
  ['postgres:me:S3CRET@db', /must be a URL like `postgres:/],
  ['postgres://me:a#S3CRET@db/x', /`%23`/],
  ['postgres://me:S3CRET/1@db/x', /`%2F`/],
  ['postgres://me:12/S3CRET@db/x', /`%2F`/],
  ['postgres://me:12?S3CRET@db/x', /`%3F`/],
  ['postgres://me:a@12#S3CRET@db/x', /`%23`/],
  ['postgres://me:%ffS3CRET@db/x', /`%25`/],
  ['postgres://me:a@12?S3CRET=b@db/x', /`%3F`/],
  ['postgres://me:S3CRET@db:99999/x', /its port is at most 65535/],
  ['postgres://me:S3CRET@one:1,two:2/x', /it has one host/],
  ['postgres://me:S3CRET@db/x?port=99999', /its port is at most 65535/],
  ['postgres://me:S3CRET@db/x?port=abc', /its port is at most 65535/],
];
for (const [written, says] of forms)
  test(`no part of a password is in the message that refuses ${written}`, () => {
    const [message, ...more] = errorsOf({ DATABASE_URL: written });
    assert.deepEqual(more, []);
    assert.match(message ?? '', says);
    assert.doesNotMatch(message ?? '', /S3CRET/);
  });

test('no other variable shows what stands before an `@`', () => {
  const [message] = errorsOf({ TEMPORAL_ADDRESS: 'https://me:a/S3CRET@t:7233' });
  assert.match(message ?? '', /is `…@t:7233`: it must be host:port/);
});

for (const [url, place] of [
  ['postgres://me:a%23b%2F%40c@db:5432/x?sslmode=require', 'db:5432/x'],
  ['postgresql://me@corp:50%@db/x', 'db/x'],
  ['postgres://me:p@/x?host=/var/run/postgresql', '/var/run/postgresql/x'],
  ['postgres:///x?host=/tmp&user=me@corp', '/tmp/x'],
  ['postgres://db:1/x?user=me@corp&password=a@b&sslmode=require', 'db:1/x'],
  ['postgres://db/x?host=other', 'other/x'],
  ['postgres://%2Fvar%2Frun/x', '%2Fvar%2Frun/x'],
] as const)
  test(`${url} is a database, and is called ${place}`, () => {
    assert.deepEqual(errorsOf({ DATABASE_URL: url }), []);
    assert.equal(placeOf(url), ` (\`${place}\`)`);
  });

test('a Temporal API key means TLS, unless that is switched off', () => {
  const of = (env: NodeJS.ProcessEnv): unknown => {
    const result = readConfig({ TEMPORAL_ADDRESS: 'cluster:7233', TEMPORAL_API_KEY: 'k', ...env });
    return result.status === 'read' ? result.config.temporal : null;
  };
  assert.deepEqual(of({}), { address: 'cluster:7233', tls: {}, apiKey: 'k' });
  assert.deepEqual(of({ TEMPORAL_TLS: '0' }), { address: 'cluster:7233', apiKey: 'k', tls: false });
});

const folder = temporaryFolder('pem');
after(() => rmSync(folder, { recursive: true, force: true }));
const [cert, key] = (['CERTIFICATE', 'PRIVATE KEY'] as const).map((label) => {
  const path = join(folder, `${label}.pem`);
  writeFileSync(path, `-----BEGIN ${label}-----\nS3CRET\n-----END ${label}-----\n`);
  return path;
}) as [string, string];
const address = { TEMPORAL_ADDRESS: 'cluster:7233' };

test('the files of TLS for Temporal are read, and mean TLS', () => {
  const files = { TEMPORAL_TLS_CA: cert, TEMPORAL_TLS_CERT: cert, TEMPORAL_TLS_KEY: key };
  const result = readConfig({ ...address, ...files });
  assert.ok(result.status === 'read');
  const pem = readFileSync(cert);
  assert.deepEqual(result.config.temporal, {
    address: 'cluster:7233',
    tls: { serverRootCACertificate: pem, clientCertPair: { crt: pem, key: readFileSync(key) } },
  });
  // Of another Temporal that the shell knows, where this one is our own.
  const [onlyKey] = errorsOf({ TEMPORAL_TLS_KEY: '/nope/S3CRET' });
  assert.equal(onlyKey, undefined);
});

const pemText = '-----BEGIN PRIVATE KEY-----\nMIIS3CRET\n-----END PRIVATE KEY-----';
for (const [name, written, why] of [
  ['TEMPORAL_TLS_KEY', pemText, 'it holds the PEM itself'],
  ['TEMPORAL_TLS_CERT', pemText, 'it holds the PEM itself'],
  ['TEMPORAL_TLS_CA', pemText.replaceAll('\n', '\\n'), 'it holds the PEM itself'],
  ['TEMPORAL_TLS_KEY', 'MIIS3CRET', 'reading it failed: ENOENT'],
  ['TEMPORAL_TLS_KEY', 'S3CRET'.repeat(1_000), 'reading it failed: ENAMETOOLONG'],
  ['TEMPORAL_TLS_KEY', folder, 'reading it failed: EISDIR'],
  ['TEMPORAL_TLS_KEY', cert, 'there is none in that file'],
  ['TEMPORAL_TLS_CERT', key, 'there is none in that file'],
] as const)
  test(`nothing of ${name} is shown where ${why}: ${written.slice(0, 40)}`, () => {
    const pair = { TEMPORAL_TLS_CERT: cert, TEMPORAL_TLS_KEY: key };
    const [message, ...more] = errorsOf({ ...address, ...pair, [name]: written });
    assert.deepEqual(more, []);
    const what = name === 'TEMPORAL_TLS_KEY' ? 'a private key' : 'a certificate';
    assert.equal(
      message,
      `environment variable ${name} is refused, and not shown since it may hold a key: it must be the path to a PEM file with ${what} (${why}); put the PEM into a file that this process can read, and give its path`,
    );
  });

for (const [given, missing] of [
  ['TEMPORAL_TLS_CERT', 'TEMPORAL_TLS_KEY'],
  ['TEMPORAL_TLS_KEY', 'TEMPORAL_TLS_CERT'],
] as const)
  test(`${given} without ${missing} is refused, and no plain connection made`, () => {
    assert.deepEqual(errorsOf({ ...address, [given]: given === 'TEMPORAL_TLS_KEY' ? key : cert }), [
      `environment variable ${given} is set and ${missing} is not: set both, to the paths of the PEM files with a client's certificate and its key, or neither`,
    ]);
  });
