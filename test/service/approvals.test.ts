import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { unknownRights } from '../../src/auth/index.js';
import { lastingRights } from '../../testing/rights.js';
import { decideBatch } from '../../src/service/approvals/batch/batch.js';
import { claimApproval } from '../../src/service/approvals/claims.js';
import { decide } from '../../src/service/approvals/decide.js';
import { makeOwnLink } from '../../src/service/approvals/links/links.js';
import { visibleApproval, type FoundApproval } from '../../src/service/approvals/look.js';
import { signInReason } from '../../src/service/approvals/links/opened-link.js';
import type { Caller } from '../../src/service/caller.js';
import { startRun } from '../../src/service/runs/start.js';
import { callerOf, makeGround, refusedWith, taken, type Ground } from './callers.js';

describe('a decision, by no door', () => {
  let ground: Ground;
  before(async () => {
    ground = await makeGround();
  });
  after(() => ground.stop());

  async function park(): Promise<string> {
    const agent = await callerOf(ground, 'agent');
    const submit = { transition: 'bank.pay', arguments: { amount: 150 } };
    const started = taken(await startRun(agent, 'pay', { submit }, 5));
    assert.ok(started.kind === 'pending');
    return String(started.approval['id']);
  }

  async function look(id: string, name = 'finance'): Promise<{ caller: Caller; found: FoundApproval }> {
    const caller = await callerOf(ground, name);
    return { caller, found: taken(await visibleApproval(caller, id)) };
  }

  const approveAs = async (id: string, name: string, digest?: string) => {
    const { caller, found } = await look(id, name);
    const decision = { decision: 'approve', digest: digest ?? found.row.digest } as const;
    return { caller, decided: await decide(caller, found, decision, { via: 'rest' }) };
  };

  it('is taken by the run, and leaves nothing that its door would have to record', async () => {
    const { caller, decided } = await approveAs(await park(), 'finance');
    assert.deepEqual(taken(decided).kind, 'applied');
    assert.deepEqual(caller.trail.facts, []);
    assert.equal(caller.trail.visible, true);
  });

  it('is refused with a code, and the refusal is left about its run', async () => {
    const id = await park();
    const { caller, decided } = await approveAs(id, 'agent');
    assert.deepEqual(
      [refusedWith(decided).code, refusedWith(decided).extra['why']],
      ['NOT_AN_APPROVER', 'not_human'],
    );
    const data = { code: 'NOT_AN_APPROVER', decision: 'approve', why: 'not_human' };
    assert.deepEqual(caller.trail.facts, [{ type: 'approval.refused', approval: id, data }]);
    assert.equal(caller.trail.about?.flow, 'pay');
    const other = await approveAs(id, 'finance', 'sha256:another');
    assert.equal(refusedWith(other.decided).code, 'DIGEST_MISMATCH');
  });

  it('is told to whoever comes later in the same words for a decision, a claim and a link', async () => {
    const id = await park();
    const { caller, found } = await look(id);
    const denial = { decision: 'deny', digest: found.row.digest } as const;
    taken(await decide(caller, found, denial, { via: 'rest' }));
    const finance = (): Promise<Caller> => callerOf(ground, 'finance');
    const refusals = [
      (await approveAs(id, 'finance')).decided,
      await claimApproval(await finance(), id),
      await makeOwnLink(await finance(), id, 10),
    ].map(refusedWith);
    for (const { code, detail, extra } of refusals) {
      assert.equal(code, 'ALREADY_DECIDED');
      assert.equal(detail, refusals[0]?.detail);
      assert.deepEqual(extra['decidedBy'], { id: 'finance', kind: 'human' });
    }
  });

  it('is judged by what its run has of it, whatever the row of the approval says', async () => {
    const id = await park();
    const before = (await look(id)).found;
    const paths = [
      ['{action,tier}', '"read_only"'],
      ['{requesters}', '["finance"]'],
    ] as const;
    for (const [path, value] of paths)
      await ground.database.pool.query(
        'update approval set state = jsonb_set(state::jsonb, $2::text[], $3::jsonb)::json where id = $1',
        [id, path, value],
      );
    const { found } = await look(id);
    assert.deepEqual(found.state, before.state);
    assert.equal(signInReason(found), signInReason(before));
  });

  it('is told to nobody who may not see its run', async () => {
    const caller = await callerOf(ground, 'employee');
    const found = await visibleApproval(caller, await park());
    assert.equal(refusedWith(found).code, 'NOT_FOUND');
    assert.deepEqual([caller.trail.about?.flow, caller.trail.visible], ['pay', false]);
  });

  it('is made in a batch by whoever the credential names when its turn has come', async () => {
    const decisions = await Promise.all(
      [await park(), await park()].map(async (id) => ({
        approval: id,
        decision: 'approve' as const,
        digest: (await look(id)).found.row.digest,
      })),
    );
    const asked = { decisions, mode: 'each', dryRun: true } as const;
    const caller = await callerOf(ground, 'finance');
    const never = () => assert.fail('a dry run decides nothing');
    const dry = taken(await decideBatch(caller, asked, never));
    const token = String(dry.body['token']);
    const asks = [caller.principal, (await callerOf(ground, 'manager')).principal];
    const made = taken(
      await decideBatch(await callerOf(ground, 'finance'), { ...asked, dryRun: false, token }, () =>
        Promise.resolve({
          kind: 'principal',
          principal: asks.shift() ?? caller.principal,
          rights: lastingRights,
        }),
      ),
    );
    const results = made.body['results'] as readonly { readonly status: string }[];
    assert.deepEqual(results.map(({ status }) => status).sort(), ['applied', 'refused']);
  });

  it('is made in a batch only with the rights that the credential gives when its turn has come', async () => {
    const id = await park();
    const decisions = [
      { approval: id, decision: 'approve' as const, digest: (await look(id)).found.row.digest },
    ];
    const caller = await callerOf(ground, 'finance');
    const asked = { decisions, mode: 'each', dryRun: true } as const;
    const dry = taken(await decideBatch(caller, asked, () => assert.fail('a dry run decides nothing')));
    const token = String(dry.body['token']);
    const again = await callerOf(ground, 'finance');
    const made = await decideBatch(again, { ...asked, dryRun: false, token }, () =>
      Promise.resolve({ kind: 'principal', principal: caller.principal, rights: unknownRights }),
    );
    assert.match(JSON.stringify(made), /its caller's rights changed/);
    assert.equal((await look(id)).found.row.status, 'open');
  });
});
