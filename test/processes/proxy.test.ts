import assert from 'node:assert/strict';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { it } from 'node:test';
import { Connection } from '@temporalio/client';
import { withoutProxyHere } from '../../src/embedded/temporal/direct.js';
import { waitUntilHealthy } from '../../src/embedded/temporal/prepare.js';
import { testVariable } from '../../testing/servers/servers.js';

it('a Temporal on this machine is asked without a proxy, whatever http_proxy says', async (t) => {
  let asked = 0;
  const proxy = createServer();
  proxy.on('connect', (_request, socket) => {
    asked += 1;
    socket.end('HTTP/1.1 403 Forbidden\r\n\r\n');
  });
  await new Promise<void>((resolve) => proxy.listen(0, '127.0.0.1', resolve));
  const kept = { ...process.env };
  t.after(() => {
    process.env = kept;
    proxy.close();
  });
  const url = `http://127.0.0.1:${(proxy.address() as AddressInfo).port}`;
  process.env = { ...kept, http_proxy: url, https_proxy: url, no_proxy: '', no_grpc_proxy: '' };
  const address = testVariable('TEST_TEMPORAL_ADDRESS');
  assert.equal(await waitUntilHealthy(address, AbortSignal.timeout(15_000)), true);
  const connection = Connection.lazy(withoutProxyHere({ address }));
  await connection.workflowService.getSystemInfo({});
  await connection.close();
  assert.equal(asked, 0);
  // A server elsewhere is asked as the variable says.
  const elsewhere = { address: 'temporal.example:7233', connectTimeout: 500 };
  await assert.rejects(Connection.connect(withoutProxyHere(elsewhere)));
  assert.notEqual(asked, 0);
});

it('this machine is localhost and what is loopback, and no name that only looks so', () => {
  const isDirect = (address: string): boolean => withoutProxyHere({ address }).channelArgs !== undefined;
  for (const address of ['127.0.0.1:7233', 'localhost:7233', '[::1]:7233', '127.1.2.3:1'])
    assert.ok(isDirect(address), address);
  for (const address of [
    '10.0.0.1:7233',
    'localhost.example:7233',
    '127.0.0.1.example:7233',
    'temporal:7233',
  ])
    assert.ok(!isDirect(address), address);
});
