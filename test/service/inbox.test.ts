import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { absenceBody } from '../../src/model/contract/api.js';
import type { Caller } from '../../src/service/caller.js';
import { listInbox } from '../../src/service/inbox/inbox.js';
import { readAbsence, setAbsence } from '../../src/service/inbox/absences.js';
import { forgetView, readView, saveView } from '../../src/service/inbox/views.js';
import { createApiKey, revokeApiKey } from '../../src/service/principals/keys.js';
import { readSigningKeys, retireSigningKey } from '../../src/service/principals/signing-keys.js';
import { startRun } from '../../src/service/runs/start.js';
import { callerOf, makeGround, refusedWith, taken, type Ground } from './callers.js';

describe('people and what waits for them, asked by no door', () => {
  let ground: Ground;
  before(async () => {
    ground = await makeGround();
  });
  after(() => ground.stop());
  const as = (name: string) => callerOf(ground, name);
  const mine = { mine: true, limit: 10, order: 'risk' } as const;

  it('an inbox holds what its reader may decide, also by a saved view', async () => {
    const submit = { transition: 'bank.pay', arguments: { amount: 150 } };
    taken(await startRun(await as('agent'), 'pay', { submit }, 5));
    assert.equal(taken(await listInbox(await as('finance'), mine)).data.length, 1);
    assert.deepEqual(taken(await listInbox(await as('manager'), mine)).data, []);
    taken(await saveView(await as('finance'), 'mine', { mine: true }));
    const viewed = await listInbox(await as('finance'), { view: 'mine', limit: 10, order: 'risk' });
    assert.equal(taken(viewed).data.length, 1);
    assert.equal(refusedWith(await readView(await as('manager'), 'mine')).code, 'NOT_FOUND');
    assert.equal(await forgetView(await as('finance'), 'mine'), null);
  });

  it('whoever may decide, and asked for it, does not find it in their own inbox', async () => {
    const submit = { transition: 'bank.pay', arguments: { amount: 160 } };
    const started = taken(await startRun(await as('finance'), 'pay', { submit }, 5));
    assert.ok(started.kind === 'pending');
    const listed = async (caller: Caller, isMine: boolean): Promise<boolean> => {
      const page = taken(await listInbox(caller, { ...mine, mine: isMine }));
      return page.data.some(({ id }) => id === started.approval.id);
    };
    const own = await as('finance');
    const colleague = { ...own, principal: { ...own.principal, id: 'colleague' } };
    assert.deepEqual(
      [await listed(own, true), await listed(own, false), await listed(colleague, true)],
      [false, true, true],
    );
  });

  it('nobody is away without end, nor leaves it to a program', async () => {
    const away = { from: '2020-01-01T00:00:00Z', until: '2999-01-01T00:00:00Z' };
    const endless = absenceBody.safeParse({ from: away.from, delegate: 'manager' });
    assert.deepEqual(
      endless.error?.issues.map(({ path }) => path),
      [['until']],
    );
    for (const until of ['2019-12-31T00:00:00Z', '2020-01-02T00:00:00Z']) {
      const over = await setAbsence(await as('finance'), { ...away, until, delegate: 'manager' });
      assert.equal(refusedWith(over).code, 'REQUEST_INVALID', until);
    }
    assert.equal(refusedWith(await readAbsence(await as('finance'))).code, 'NOT_FOUND');
    const refused = await setAbsence(await as('finance'), { ...away, delegate: 'agent' });
    assert.deepEqual(
      [refusedWith(refused).code, refusedWith(refused).extra['why']],
      ['DELEGATE_UNFIT', 'not_human'],
    );
    taken(await setAbsence(await as('finance'), { ...away, delegate: 'manager' }));
    assert.equal(taken(await readAbsence(await as('finance'))).body['delegate'], 'manager');
  });

  it('a key is made, and revoked once it is not wanted', async () => {
    const made = taken(await createApiKey(await as('admin'), { id: 'robot', kind: 'agent' }));
    assert.ok(made.kind === 'key');
    assert.equal(await revokeApiKey(await as('admin'), String(made.body['keyId'])), null);
    const other = await createApiKey(await as('admin'), { id: 'robot', kind: 'human' });
    assert.equal(refusedWith(other).code, 'KIND_CONFLICT');
  });

  it('the only key that the service signs with is not retired', async () => {
    const [key] = taken(await readSigningKeys(await as('admin'))).keys;
    const refused = await retireSigningKey(await as('admin'), String(key?.['keyId']), 0);
    assert.equal(refusedWith(refused).code, 'LAST_SIGNING_KEY');
  });
});
