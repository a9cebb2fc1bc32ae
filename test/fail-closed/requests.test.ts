import assert from 'node:assert/strict';
import { rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe } from 'node:test';
import { startApi, type Answer, type Harness } from '../api/harness.js';
import { makeAsking } from './support/asking.js';
import { failClosed } from './support/cells.js';

// Requests at the API's door: refused with a code of the table, recorded, and nothing started.

describe('a request', () => {
  let api: Harness;
  const { count, runs, refuses, makeKey, started, parked } = makeAsking(() => api);
  before(async () => {
    api = await startApi();
  });
  after(() => api.stop());

  const forbidden = async (permissions: readonly string[]): Promise<void> => {
    const { key } = await makeKey({ id: `p-${permissions.join('-')}`, permissions });
    for (const [method, path] of [
      ['POST', '/v1/flows/form/runs'],
      ['POST', '/v1/runs/none/cancel'],
      ['POST', '/v1/keys'],
      ['POST', '/v1/policies/reload'],
      ['GET', '/v1/audit'],
    ] as const)
      await refuses(() => api.ask(key, method, path), [403, 'FORBIDDEN'], 'authz.denied');
  };

  failClosed('route.permission', {
    missing: () => forbidden(['flow.read']),
    malformed: () => forbidden(['*', 'RUN.START', 'run', 'run.start.', 'audit.*']),
    empty: () => forbidden([]),
  });

  failClosed('route', {
    error: () =>
      refuses(() => api.ask('agent', 'PUT', '/v1/runs'), [405, 'METHOD_NOT_ALLOWED'], 'request.refused').then(
        noop,
      ),
    missing: () =>
      refuses(() => api.ask('agent', 'GET', '/v1/nothing'), [404, 'NOT_FOUND'], 'request.refused').then(noop),
    empty: () =>
      refuses(() => api.ask('agent', 'GET', '/v1/'), [404, 'NOT_FOUND'], 'request.refused').then(noop),
  });

  const noop = (): void => undefined;
  const starts = (body: unknown, expected: [number, string], headers = {}): Promise<void> =>
    refuses(
      () => api.ask('agent', 'POST', '/v1/flows/form/runs', body, headers),
      expected,
      'request.refused',
    ).then(noop);

  failClosed('request.body', {
    error: async () => {
      await starts(`{"a":"${'x'.repeat(1_100_000)}"}`, [413, 'TOO_LARGE']);
      await starts('a', [415, 'UNSUPPORTED_MEDIA_TYPE'], { 'content-type': 'text/plain' });
      await starts('{}', [415, 'UNSUPPORTED_MEDIA_TYPE'], { 'content-encoding': 'gzip' });
    },
    missing: () =>
      refuses(
        () => api.ask('admin', 'POST', '/v1/keys', { kind: 'agent' }),
        [422, 'REQUEST_INVALID'],
        'request.refused',
      ).then(noop),
    malformed: async () => {
      await starts('{"half":', [400, 'MALFORMED']);
      await starts('{"input":{"a":1,"a":2}}', [422, 'REQUEST_INVALID']);
      await starts('[]', [422, 'REQUEST_INVALID']);
      await starts({ inptu: {} }, [422, 'REQUEST_INVALID']);
    },
    empty: () =>
      refuses(
        () => api.ask('admin', 'POST', '/v1/keys', ''),
        [422, 'REQUEST_INVALID'],
        'request.refused',
      ).then(noop),
  });

  const asks = (path: string, expected: [number, string]): Promise<void> =>
    refuses(() => api.ask('admin', 'GET', path), expected, 'request.refused').then(noop);

  failClosed('request.query', {
    error: () => asks('/v1/runs?unknown=1', [422, 'REQUEST_INVALID']),
    malformed: async () => {
      await asks('/v1/runs?limit=many', [422, 'REQUEST_INVALID']);
      await asks('/v1/runs?cursor=bm90IG91cnM', [422, 'REQUEST_INVALID']);
      await asks('/v1/runs?state=%00', [422, 'REQUEST_INVALID']);
      await asks('/v1/runs?limit=1&limit=2', [422, 'REQUEST_INVALID']);
    },
    empty: () => asks('/v1/runs?cursor=', [422, 'REQUEST_INVALID']),
  });

  failClosed('start.request', {
    error: () =>
      refuses(
        () => api.ask('agent', 'POST', '/v1/flows/none/runs', {}),
        [404, 'NOT_FOUND'],
        'request.refused',
      ).then(noop),
    missing: () => starts({ input: {} }, [422, 'INPUT_INVALID']),
    malformed: () => starts({ input: { title: 7, more: 1 } }, [422, 'INPUT_INVALID']),
    empty: () =>
      refuses(
        () => api.ask('agent', 'POST', '/v1/flows/pay/runs', { input: { any: 'thing' } }),
        [422, 'INPUT_INVALID'],
        'request.refused',
      ).then(noop),
  });

  const unseen = (who: string, path: string): Promise<void> =>
    refuses(() => api.ask(who, 'GET', path), [404, 'NOT_FOUND'], 'request.refused').then(noop);

  failClosed('visibility', {
    error: async () => unseen('employee', `/v1/runs/${await started()}`),
    missing: async () => {
      for (const what of ['runs', 'approvals', 'actions', 'decisions'])
        await unseen('admin', `/v1/${what}/none`);
    },
    malformed: async () => {
      const { key } = await makeKey({ id: 'like-a-controller', roles: ['finance.controller'] });
      await unseen(key, `/v1/runs/${await started()}`);
    },
    empty: async () => {
      const { key } = await makeKey({ id: 'nobody-special' });
      await unseen(key, `/v1/runs/${await started()}/audit`);
    },
  });

  const keyed = (key: string, title: string) => (): Promise<Answer> =>
    api.ask('agent', 'POST', '/v1/flows/form/runs', { input: { title } }, { 'idempotency-key': key });

  failClosed('idempotency', {
    error: async () => {
      assert.equal((await keyed('one', 'a')()).status, 201);
      await refuses(keyed('one', 'b'), [422, 'IDEMPOTENCY_KEY_REUSED'], 'request.refused');
    },
    timeout: async () => {
      assert.equal((await keyed('held', 'a')()).status, 201);
      await api.database.asSuperuser(
        `update idempotency set status = null, held_until = now() + interval '1 hour' where key = 'held'`,
      );
      await refuses(keyed('held', 'a'), [409, 'IDEMPOTENCY_IN_PROGRESS'], 'request.refused');
    },
    malformed: async () => {
      for (const key of ['with spaces', 'x'.repeat(256)])
        await refuses(keyed(key, 'a'), [422, 'REQUEST_INVALID'], 'request.refused');
    },
    empty: async () => void (await refuses(keyed('', 'a'), [422, 'REQUEST_INVALID'], 'request.refused')),
  });

  const decides =
    (who: string, approval: string, body: object): (() => Promise<Answer>) =>
    () =>
      api.ask(who, 'POST', `/v1/approvals/${approval}/decision`, body);

  failClosed('decision.request', {
    error: async () => {
      const { approval, digest } = await parked();
      const ask = decides('agent', approval, { decision: 'approve', digest });
      await refuses(ask, [403, 'NOT_AN_APPROVER'], 'approval.refused');
      assert.equal((await decides('finance', approval, { decision: 'deny', digest })()).status, 200);
      const late = decides('finance', approval, { decision: 'approve', digest });
      await refuses(late, [409, 'ALREADY_DECIDED'], 'approval.refused');
    },
    missing: async () => {
      const { approval } = await parked();
      const ask = decides('finance', approval, { decision: 'approve' });
      await refuses(ask, [428, 'DIGEST_REQUIRED'], 'approval.refused');
      await refuses(
        decides('finance', 'apr_none', { decision: 'approve' }),
        [404, 'NOT_FOUND'],
        'request.refused',
      );
    },
    malformed: async () => {
      const { approval, digest } = await parked();
      const ask = decides('finance', approval, { decision: 'approve', digest: `${digest}0` });
      await refuses(ask, [409, 'DIGEST_MISMATCH'], 'approval.refused');
      const odd = decides('finance', approval, { decision: 'Approve', digest });
      await refuses(odd, [422, 'REQUEST_INVALID'], 'request.refused');
    },
    empty: async () => {
      const { approval } = await parked();
      const ask = decides('finance', approval, { decision: 'approve', digest: '' });
      await refuses(ask, [428, 'DIGEST_REQUIRED'], 'approval.refused');
    },
  });

  const reload = async (change: (folder: string) => void, undo: (folder: string) => void): Promise<void> => {
    const folder = join(api.home, 'policies');
    const { rows: before } = await api.database.asSuperuser('select max(seq) from policy_set');
    change(folder);
    try {
      const ask = () => api.ask('admin', 'POST', '/v1/policies/reload');
      await refuses(ask, [422, 'POLICY_INVALID'], 'request.refused');
    } finally {
      undo(folder);
    }
    assert.deepEqual((await api.database.asSuperuser('select max(seq) from policy_set')).rows, before);
  };
  const odd = (name: string, text: string) =>
    reload(
      (folder) => writeFileSync(join(folder, name), text),
      (folder) => rmSync(join(folder, name)),
    );

  failClosed('policies.reload', {
    error: () => odd('tools/more.yaml', 'tools: [{ name: x.y, tier: harmless, executor: { kind: noop } }]\n'),
    missing: () =>
      odd('flows/more.yaml', 'workflows: { more: { owner: team, states: { a: { terminal: true } } } }\n'),
    malformed: async () => {
      await odd('environments.yaml', 'environments: {half\n');
      await odd('elsewhere.yaml', 'roles: {}\n');
    },
    empty: () => odd('flows/more.yaml', 'workflows: { more: {} }\n'),
  });

  const publishes = (text: string, expected: [number, string] = [422, 'FLOW_INVALID']): Promise<void> =>
    refuses(
      () => api.ask('admin', 'POST', '/v1/flows', text, { 'content-type': 'application/yaml' }),
      expected,
      'request.refused',
    ).then(noop);

  failClosed('flow.publish', {
    error: () =>
      publishes('name: x\nowner: team\npermissions: { read: [no.such.tool], execute: [], deny: [] }\n'),
    missing: () => publishes('name: x\npermissions: {}\ninitialState: a\n'),
    malformed: () => publishes('name: [half\n'),
    empty: () => publishes(''),
  });

  /** The store is away or says no: no answer goes out that is not durable, and nothing is started. */
  const unrecorded = async (change: string, undo: string, status: number): Promise<void> => {
    const before = [await runs(), await count('api.called')];
    await api.database.asSuperuser(change);
    let answer: Answer;
    try {
      answer = await api.ask('agent', 'POST', '/v1/flows/form/runs', { input: { title: 't' } });
    } finally {
      await api.database.asSuperuser(undo);
    }
    assert.equal(answer.status, status, answer.text);
    assert.deepEqual([await count('api.called')], before.slice(1));
  };

  failClosed('audit.request', {
    error: () =>
      unrecorded(
        'revoke insert on audit_record from countersign_app',
        'grant insert on audit_record to countersign_app',
        500,
      ),
    missing: () =>
      unrecorded('alter table audit_chain rename to gone', 'alter table gone rename to audit_chain', 500),
  });
});
