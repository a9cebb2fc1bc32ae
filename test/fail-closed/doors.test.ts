import assert from 'node:assert/strict';
import { after, before, describe } from 'node:test';
import { startApi, type Answer, type Harness } from '../api/harness.js';
import { makeAsking } from './support/asking.js';
import { failClosed } from './support/cells.js';

// The doors of approvers besides the single decision: batches, claims, delegation, absence.

describe('a door for approvers', () => {
  let api: Harness;
  let now: Date | null = null;
  const { refuses, parked, count, makeKey } = makeAsking(() => api);
  before(async () => {
    api = await startApi((deps) => ({ ...deps, now: () => now ?? new Date() }));
  });
  after(() => api.stop());

  type Item = { approval: string; decision: string; digest?: string };
  const batch = (decisions: readonly Item[], more: object): Promise<Answer> =>
    api.ask('finance', 'POST', '/v1/approvals/batch', { decisions, ...more });
  const approving = async (): Promise<Item> => {
    const { approval, digest } = await parked();
    return { approval, decision: 'approve', digest };
  };
  const dryRun = async (decisions: readonly Item[], mode = 'all'): Promise<string> => {
    const { body, text } = await batch(decisions, { mode, dryRun: true });
    const { token } = body as { token?: string };
    assert.ok(token !== undefined, text);
    return token;
  };
  const stillOpen = async (item: Item): Promise<void> => {
    const { body } = await api.ask('finance', 'GET', `/v1/approvals/${item.approval}`);
    assert.equal((body as { status: string }).status, 'open');
  };
  const refusesBatch = async (
    items: readonly Item[],
    more: object,
    expected: readonly [number, string],
  ): Promise<void> => {
    await refuses(() => batch(items, { mode: 'all', dryRun: false, ...more }), expected, 'request.refused');
    for (const item of items) await stillOpen(item);
  };
  const dryRunRequired = [428, 'DRY_RUN_REQUIRED'] as const;
  const invalid = [422, 'REQUEST_INVALID'] as const;

  failClosed('door.batch', {
    error: async () => {
      const [good, other] = [await approving(), await approving()];
      const token = await dryRun([good, other]);
      const deny = { decision: 'deny', digest: other.digest };
      assert.equal(
        (await api.ask('finance', 'POST', `/v1/approvals/${other.approval}/decision`, deny)).status,
        200,
      );
      const refusals = await count('approval.refused');
      const answer = await batch([good, other], { mode: 'all', dryRun: false, token });
      assert.equal((answer.body as { code: string }).code, 'BATCH_REFUSED', answer.text);
      assert.equal(await count('approval.refused'), refusals + 1);
      await stillOpen(good);
    },
    timeout: async () => {
      const item = await approving();
      const token = await dryRun([item]);
      now = new Date(Date.now() + 16 * 60_000);
      try {
        await refuses(
          () => batch([item], { mode: 'all', dryRun: false, token }),
          dryRunRequired,
          'request.refused',
        );
      } finally {
        now = null;
      }
    },
    missing: async () => refusesBatch([await approving()], {}, dryRunRequired),
    malformed: async () => {
      const [one, other] = [await approving(), await approving()];
      await refusesBatch([one], { token: await dryRun([other]) }, dryRunRequired);
      await refusesBatch([one], { token: 'not.a.token' }, dryRunRequired);
      await refusesBatch([one, one], { token: await dryRun([one]) }, invalid);
    },
    empty: async () => {
      await refusesBatch([], {}, invalid);
      await refusesBatch([await approving()], { token: '' }, dryRunRequired);
    },
  });

  const delegating = async (to: string, expected: readonly [number, string]): Promise<void> => {
    const { approval } = await parked();
    const ask = () => api.ask('finance', 'POST', `/v1/approvals/${approval}/delegate`, { to });
    await refuses(ask, expected, 'request.refused');
  };
  const unfit = [422, 'DELEGATE_UNFIT'] as const;
  const away = (who: string, until: string, delegate: string) => () =>
    api.ask(who, 'PUT', '/v1/absences', { from: '2020-01-01T00:00:00Z', until, delegate });

  failClosed('door.claim', {
    error: async () => {
      const { approval, digest } = await parked();
      const claim = (who: string) => () => api.ask(who, 'POST', `/v1/approvals/${approval}/claim`, {});
      await refuses(claim('manager'), [403, 'NOT_AN_APPROVER'], 'request.refused');
      const denied = await api.ask('finance', 'POST', `/v1/approvals/${approval}/decision`, {
        decision: 'deny',
        digest,
      });
      assert.equal(denied.status, 200);
      await refuses(claim('finance'), [409, 'ALREADY_DECIDED'], 'request.refused');
    },
    timeout: () =>
      refuses(away('finance', '2020-02-01T00:00:00Z', 'manager'), invalid, 'request.refused').then(noop),
    missing: () => delegating('nobody-of-this-name', unfit),
    malformed: async () => {
      await makeKey({ id: 'a-program', roles: ['finance.controller'] });
      await delegating('a-program', unfit);
      await delegating('finance', unfit);
      await refuses(
        away('agent', '2099-01-01T00:00:00Z', 'manager'),
        [403, 'HUMANS_ONLY'],
        'request.refused',
      );
    },
    empty: () => delegating('', invalid),
  });
  const noop = (): void => undefined;
});
