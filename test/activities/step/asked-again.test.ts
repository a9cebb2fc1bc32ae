import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import type { ActivityDeps } from '../../../src/activities/deps.js';
import type { ApprovalState } from '../../../src/engine/state.js';
import type { Principal } from '../../../src/model/principal.js';
import { getAction } from '../../../src/store/runs/actions.js';
import { getApproval } from '../../../src/store/approvals/approvals.js';
import {
  bell,
  controller,
  makeGoverned,
  operator,
  starter,
  type Governed,
  type Handle,
} from '../../fail-closed/support/governed.js';
import { makeTarget, type Target, type TargetAnswer } from '../execute/target.js';

// Whoever is asked for an effect that may have happened already is told so, whatever its first asking ended with: a real
// Postgres, and a target that answers as it is told.

const post = (key: boolean): string =>
  `{ kind: rest, connection: main, method: POST, path: /main, idempotencyKey: ${String(key)} }`;
const gated = 'target: a, tier: reversible, gate: { roles: [finance.controller] }';

const policies = (url: string): Readonly<Record<string, string>> => ({
  'roles.yaml': 'roles: { finance.controller: { permissions: [] } }\n',
  'connections.yaml': `connections: { main: { kind: rest, baseUrl: '${url}', allowPrivate: true } }\n`,
  'flows/f.yaml': `
workflows:
  f:
    owner: team
    timeout: 1h
    initialState: a
    states:
      a:
        transitions:
          bare: { ${gated}, executor: ${post(false)} }
          keyed: { ${gated}, executor: ${post(true)}, reliability: { timeout: 200ms } }
          tries: { ${gated}, executor: ${post(false)}, reliability: { retry: { maxAttempts: 2 } } }
          backed: { ${gated}, executor: ${post(false)}, reliability: { fallback: { strategy: first_success, executors: [${post(false)}] } } }
          end: { target: done }
      done: { terminal: true }
`,
});

let target: Target;
let governed: Governed;
before(async () => {
  target = await makeTarget();
  governed = await makeGoverned(policies(target.url));
});
after(async () => {
  await governed.stop();
  await target.close();
});

const other: Principal = { ...starter, id: 'drone' };
const again = /AGAIN: it may have happened already/;

const open = ({ state }: Handle): ApprovalState[] =>
  state.approvals.filter(({ status }) => status === 'open');
const newest = (run: Handle): ApprovalState => open(run).at(-1) ?? assert.fail('nothing is open');

async function cardOf({ id }: ApprovalState): Promise<string> {
  return (await getApproval(governed.deps.pool, id))?.doc.summary ?? '';
}

/** A run that was asked for it, approved it and had these answers. */
async function after1(
  transition: string,
  says: readonly TargetAnswer[],
  hands?: ActivityDeps,
): Promise<Handle> {
  target.say(...says);
  const run = await governed.start('f', {}, hands);
  await run.submit(starter, transition, {});
  assert.doesNotMatch(await cardOf(newest(run)), again);
  await run.decide(controller, newest(run).id, 'approve');
  await run.execute();
  return run;
}

describe('the next card of an effect', () => {
  const doubted: readonly (readonly [string, string, readonly TargetAnswer[]])[] = [
    ['500 without a key', 'bare', [500]],
    ['503 without a key', 'bare', [503]],
    ['503 under a key', 'keyed', [503]],
    ['no answer under a key', 'keyed', ['hang']],
    ['503, and then one that was refused for its number', 'tries', [503, 429]],
    ['503, and then 500 of a fallback', 'backed', [503, 500]],
    ['503, and then 429 of a fallback', 'backed', [503, 429]],
  ];
  for (const [what, transition, says] of doubted)
    it(`says that it may have happened: ${what}`, async () => {
      const run = await after1(transition, says);
      assert.equal(run.state.status, 'running', 'the action is failed, and the run goes on');
      await run.submit(other, transition, {});
      assert.match(await cardOf(newest(run)), again);
      // And once more, where the second asking came to nothing.
      await run.decide(controller, newest(run).id, 'deny');
      await run.submit(starter, transition, {});
      assert.match(await cardOf(newest(run)), again);
    });

  for (const [what, says] of [
    ['409', [409]],
    ['429', [429]],
  ] as const)
    it(`does not, where the target has said that it did nothing: ${what}`, async () => {
      const run = await after1('bare', says);
      await run.submit(other, 'bare', {});
      assert.doesNotMatch(await cardOf(newest(run)), again);
    });

  it('does not any more once it has succeeded: then it says that it was done', async () => {
    const run = await after1('bare', [500, 200]);
    await run.submit(starter, 'bare', {});
    await run.decide(controller, newest(run).id, 'approve');
    await run.execute();
    await run.submit(starter, 'bare', {});
    const card = await cardOf(newest(run));
    assert.doesNotMatch(card, again);
    assert.match(card, /ONCE MORE/);
    assert.equal(run.state.doubts, undefined, 'nothing of it stays in the document');
  });
});

describe('a card that does not say it yet', () => {
  const ends: readonly (readonly [string, (run: Handle) => Promise<unknown>])[] = [
    ['it failed with 500', (run) => run.execute()],
    ['its run was given up', (run) => run.tryStep({ gaveUp: 'a bug' })],
    [
      'its run tells of two pasts',
      (run) => governed.database.asSuperuser(`update run set doc = doc || ' ' where id = $1`, [run.id]),
    ],
  ];
  for (const [how, end] of ends)
    it(`is approved by nobody any more: ${how}`, async () => {
      target.say(500);
      const run = await governed.start('f');
      await run.submit(other, 'bare', {});
      const silent = newest(run);
      await run.submit(other, 'keyed', {});
      const unconcerned = newest(run);
      await run.submit(starter, 'bare', {});
      await run.decide(controller, newest(run).id, 'approve');
      await end(run);
      await run.take({ kind: 'look' });
      assert.deepEqual(
        open(run).map(({ id }) => id),
        [unconcerned.id],
      );
      const [approval, action] = await Promise.all([
        getApproval(governed.deps.pool, silent.id),
        getAction(governed.deps.pool, silent.action.id),
      ]);
      assert.deepEqual(
        [approval?.status, action?.status, action?.error?.code],
        ['revoked', 'revoked', 'APPROVAL_REVOKED'],
      );
      const revoked = (await run.records()).filter(({ type }) => type === 'approval.revoked');
      assert.match(
        String(revoked[0]?.data['reason']),
        /whether `bare` .* has happened is not known: ask again/,
      );
      const said = await run.decide(controller, silent.id, 'approve');
      assert.equal(said?.status === 'refused' && said.code, 'APPROVAL_REVOKED');
      if (run.state.status !== 'stuck') return;
      await run.take(bell(await run.ask(operator, { kind: 'retry' })));
      assert.match(await cardOf(newest(run)), again);
    });
});

describe('an effect of which nobody knows, that is to be done again', () => {
  it('stays unknown where the run is cancelled before it begins again, and its end says so', async () => {
    const run = await after1('bare', [302]);
    assert.equal(run.state.problem?.code, 'EXECUTOR_UNKNOWN');
    await run.take(bell(await run.ask(operator, { kind: 'retry' })));
    await run.decide(controller, newest(run).id, 'approve');
    assert.ok(run.state.executing !== null);
    await run.take(bell(await run.ask(operator, { kind: 'cancel' })));
    await run.execute();
    assert.equal(run.state.status, 'cancelled');
    assert.equal(run.state.problem?.code, 'EXECUTOR_UNKNOWN');
  });

  it('stays unknown where it could not be begun again: an agent does not have it done', async () => {
    const run = await after1('bare', [302]);
    await run.take(bell(await run.ask(operator, { kind: 'retry' })));
    await run.decide(controller, newest(run).id, 'approve');
    const action = run.state.executing?.action.id ?? '';
    await run.take({ kind: 'abandoned', action, reason: 'a failure of ours' });
    assert.equal(run.state.status, 'stuck');
    assert.equal(run.state.problem?.code, 'EXECUTOR_UNKNOWN');
  });
});
