import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { lastingRights } from '../../testing/rights.js';
import type { Call } from '../../src/api/http/call.js';
import { refuseRoute } from '../../src/api/http/permitted.js';
import { routes } from '../../src/api/index.js';
import { builtInPermissions, type PrincipalKind } from '../../src/model/principal.js';
import { decideBatch } from '../../src/service/approvals/batch/batch.js';
import { claimApproval, delegateApproval, releaseApproval } from '../../src/service/approvals/claims.js';
import { decide, readDecision } from '../../src/service/approvals/decide.js';
import { listOwnLinks, makeOwnLink, revokeOwnLink } from '../../src/service/approvals/links/links.js';
import type { FoundApproval } from '../../src/service/approvals/look.js';
import { historyOfRun, reconstructRun, replayRun } from '../../src/service/audit/history.js';
import { listRecords, readRecord, recordsOfRun } from '../../src/service/audit/records.js';
import { newTrail, type Caller } from '../../src/service/caller.js';
import type { ServiceDeps } from '../../src/service/deps.js';
import { checkFlow, publishFlow } from '../../src/service/flows/publish-text.js';
import { diffVersions, listFlows, readFlow, readVersion } from '../../src/service/flows/read.js';
import { reloadPolicies } from '../../src/service/flows/reload.js';
import { withdrawFlow } from '../../src/service/flows/withdraw.js';
import { clearAbsence, readAbsence, setAbsence } from '../../src/service/inbox/absences.js';
import { listInbox } from '../../src/service/inbox/inbox.js';
import { readStats } from '../../src/service/inbox/stats.js';
import { forgetView, listSavedViews, readView, saveView } from '../../src/service/inbox/views.js';
import { rulesOf, useCaseNames, type UseCase } from '../../src/service/may.js';
import { createApiKey, listApiKeys, revokeApiKey } from '../../src/service/principals/keys.js';
import {
  readSigningKeys,
  retireSigningKey,
  rotateSigningKey,
} from '../../src/service/principals/signing-keys.js';
import type { Refusal } from '../../src/service/refusal.js';
import { readAction } from '../../src/service/runs/action.js';
import { cancelRun, retryRun } from '../../src/service/runs/operate.js';
import { listRuns, readRun } from '../../src/service/runs/read.js';
import { startRun } from '../../src/service/runs/start.js';
import { submitTransition } from '../../src/service/runs/submit.js';

/**
 * What doors do without a use case: they show what `visibleApproval`, the credential and the feed give them. `listWarnings` is a
 * part of what a public route tells (`test/service/readiness.test.ts`).
 */
type OfDoors = 'getApproval' | 'whoami' | 'events' | 'listWarnings';

const text = { media: 'json', bytes: Buffer.from('{}') } as const;
const page = { limit: 10 };

/** Each use case, called with values that fit the contract. A caller who may use it gets as far as the store, which is missing here. */
const asked: Readonly<Record<Exclude<UseCase, OfDoors>, (caller: Caller) => Promise<unknown>>> = {
  publishFlow: (caller) => publishFlow(caller, text),
  checkFlow: (caller) => checkFlow(caller, text),
  listFlows: (caller) => listFlows(caller, page),
  getFlow: (caller) => readFlow(caller, 'pay'),
  getFlowVersion: (caller) => readVersion(caller, 'pay', 1),
  withdrawFlow: (caller) => withdrawFlow(caller, 'pay', 'closed'),
  diffFlow: (caller) => diffVersions(caller, 'pay', { from: 1, to: 2 }),
  reloadPolicies: (caller) => reloadPolicies(caller, []),
  startRun: (caller) => startRun(caller, 'pay', {}, 0),
  listRuns: (caller) => listRuns(caller, page),
  getRun: (caller) => readRun(caller, 'run_1'),
  cancelRun: (caller) => cancelRun(caller, 'run_1', 'enough', 0),
  retryRun: (caller) => retryRun(caller, 'run_1', 'again', 0),
  submitTransition: (caller) => submitTransition(caller, { run: 'run_1', transition: 'pay' }, {}, 0),
  getAction: (caller) => readAction(caller, 'act_1'),
  listViews: listSavedViews,
  getView: (caller) => readView(caller, 'mine'),
  saveView: (caller) => saveView(caller, 'mine', {}),
  deleteView: (caller) => forgetView(caller, 'mine'),
  decideBatch: (caller) =>
    decideBatch(
      caller,
      { decisions: [{ approval: 'apr_1', decision: 'deny' }], mode: 'each', dryRun: true },
      () => Promise.reject(new Error('nobody is asked again')),
    ),
  approvalStats: (caller) => readStats(caller, {}),
  listApprovals: (caller) => listInbox(caller, { limit: 10, order: 'risk' }),
  decideApproval: (caller) =>
    decide(caller, { row: { id: 'apr_1' } } as FoundApproval, { decision: 'deny' }, { via: 'rest' }),
  getDecision: (caller) => readDecision(caller, 'dec_1'),
  claimApproval: (caller) => claimApproval(caller, 'apr_1'),
  releaseApproval: (caller) => releaseApproval(caller, 'apr_1'),
  delegateApproval: (caller) => delegateApproval(caller, 'apr_1', { to: 'lea' }),
  getAbsence: readAbsence,
  setAbsence: (caller) => setAbsence(caller, { from: '2026-01-01', until: '2026-02-01', delegate: 'lea' }),
  clearAbsence,
  makeLink: (caller) => makeOwnLink(caller, 'apr_1', 5),
  listLinks: (caller) => listOwnLinks(caller, 'apr_1'),
  revokeLink: (caller) => revokeOwnLink(caller, 'apr_1', 'lnk_1'),
  auditRun: (caller) => recordsOfRun(caller, 'run_1', page),
  audit: (caller) => listRecords(caller, page),
  auditEntry: (caller) => readRecord(caller, 1),
  reconstructRun: (caller) => reconstructRun(caller, 'run_1'),
  runHistory: (caller) => historyOfRun(caller, 'run_1'),
  replayRun: (caller) => replayRun(caller, 'run_1'),
  createKey: (caller) => createApiKey(caller, { id: 'bot', kind: 'agent' }),
  listKeys: (caller) => listApiKeys(caller, page),
  revokeKey: (caller) => revokeApiKey(caller, 'key_1'),
  listSigningKeys: readSigningKeys,
  rotateSigningKey: (caller) => rotateSigningKey(caller, 0),
  retireSigningKey: (caller) => retireSigningKey(caller, 'sig_1', 0),
};

class Reached extends Error {}

const pool = { query: () => Promise.reject(new Reached('the store is asked')) };
const deps = new Proxy({} as ServiceDeps, {
  get: (_, name) => {
    if (name === 'pool') return pool;
    throw new Reached(`\`${String(name)}\` is asked`);
  },
});

function callerWith(
  kind: PrincipalKind,
  permissions: readonly string[],
  acting: { readonly actedBy?: string } = {},
): Caller {
  const principal = { id: 'lea', kind, roles: [], permissions: [...permissions], ...acting };
  return {
    deps,
    principal,
    requestId: 'trc_1',
    idBase: '0'.repeat(32),
    heldKey: null,
    trail: newTrail(),
    rights: lastingRights,
    stopping: new AbortController().signal,
  };
}

async function refusedTo(caller: Caller, name: keyof typeof asked): Promise<Refusal> {
  const found = (await asked[name](caller)) as Refusal | null;
  assert.equal(found?.kind, 'refusal', `${name} answered somebody who may not ask`);
  return found;
}

describe('a use case, by whichever door', () => {
  const names = Object.keys(asked) as (keyof typeof asked)[];

  it('is asked here, each that there is', () => {
    const ofDoors: readonly UseCase[] = ['getApproval', 'whoami', 'events', 'listWarnings'];
    assert.deepEqual([...names, ...ofDoors].sort(), [...useCaseNames].sort());
    const behindCredential = routes.filter(({ access }) => access === 'principal');
    assert.deepEqual(
      behindCredential.map(({ id }) => id).sort(),
      useCaseNames.filter((name) => name !== 'listWarnings').sort(),
      'each call that takes a credential is a door to one, and each has its call',
    );
    assert.ok(behindCredential.every(({ id, useCase }) => id === useCase));
  });

  it('is asked by nobody without a principal, but at a public route', () => {
    const nobody = { principal: null } as Call;
    assert.throws(() => refuseRoute(nobody, { access: 'principal', useCase: 'startRun' }));
    assert.throws(() => refuseRoute(nobody, { access: 'principal', useCase: null }));
    assert.equal(refuseRoute(nobody, { access: 'public', useCase: null }), null);
  });

  for (const name of names) {
    const { permission, humansOnly, delegated } = rulesOf(name);

    it(`${name} goes on for who may ask`, async () => {
      await assert.rejects(asked[name](callerWith('human', builtInPermissions)), Reached);
    });

    if (permission !== undefined)
      it(`${name} does nothing for who is without ${permission}`, async () => {
        const others = builtInPermissions.filter((held) => held !== permission);
        const { code, extra } = await refusedTo(callerWith('human', others), name);
        assert.deepEqual([code, extra['permission']], ['FORBIDDEN', permission]);
      });

    if (humansOnly === true)
      it(`${name} does nothing for an agent or a system`, async () => {
        for (const kind of ['agent', 'system'] as const)
          assert.equal((await refusedTo(callerWith(kind, builtInPermissions), name)).code, 'HUMANS_ONLY');
      });

    it(`${name} is ${delegated === true ? 'open' : 'closed'} to a service that acts for a human`, async () => {
      const acting = callerWith('human', builtInPermissions, { actedBy: 'slack' });
      if (delegated === true) await assert.rejects(asked[name](acting), Reached);
      else assert.equal((await refusedTo(acting, name)).code, 'FORBIDDEN');
    });
  }
});
