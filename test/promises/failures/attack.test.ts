import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { createHash } from 'node:crypto';
import { promisify } from 'node:util';
import { before, describe, it } from 'node:test';
import type { Services } from '../../../testing/services.js';
import { inCampaigns } from '../../../testing/samples.js';
import { shareStack } from '../../../testing/servers/shared-stack.js';
import type { Stack } from '../../../testing/servers/stack.js';
import { action, audit, decide, getRun, parkPayment, submit, until } from '../../../testing/flows.js';
import {
  encodePayload,
  jsonPayload,
  keepMessages,
  lastBell,
  messagesOf,
  ring,
  sendTo,
  type EncodedPayload,
} from '../../../testing/bells.js';
import { bellOf } from '../../../src/auth/index.js';
import { jsonValue } from '../../../src/client/replay/attest.js';
import { makePool, type Pool } from '../../../src/db/index.js';
import { countUnanswered } from '../../../src/store/runs/messages.js';
import type { Bell } from '../../../src/model/message.js';
import { newId } from '../../../src/model/names/ids.js';
import type { Principal } from '../../../src/model/principal.js';
import { kernelVersion } from '../../../src/workflows/versions.js';

// Straight to Temporal, past the API: with the CLI and over its HTTP port.

const run = promisify(execFile);
const namespace = 'countersign-staging';
/** Half of a surrogate pair: JSON may hold it, and UTF-8 cannot. */
const half = '\ud83d';

describe('whoever writes straight to Temporal', () => {
  let stack: Stack;
  let services: Services;
  before(async () => {
    ({ stack, services } = await shareStack());
  });

  const agent: Principal = { id: 'agent', kind: 'agent', roles: [], permissions: ['run.start'] };
  const submission = { kind: 'submit', transition: 'no.such.tool', expectedVersion: null } as const;
  const withPool = async (act: (pool: Pool) => Promise<void>): Promise<void> => {
    const pool = makePool({ url: stack.databaseUrl, applicationName: 'attack', max: 4 });
    try {
      await act(pool);
    } finally {
      await pool.end();
    }
  };
  const cli = async (...args: string[]): Promise<string> => {
    const { stdout } = await run(
      stack.temporalCli,
      [...args, '--address', stack.temporalAddress, '--namespace', namespace],
      { timeout: 20_000 },
    );
    return stdout;
  };
  const signal = (id: string, name: string, ...rest: string[]) =>
    cli('workflow', 'signal', '--workflow-id', id, '--name', name, ...rest);
  /** Gives the HTTP status: no run of ours has a handler of updates. */
  const update = async (id: string, name: string, payloads: readonly EncodedPayload[]): Promise<number> => {
    const path = `/api/v1/namespaces/${namespace}/workflows/${id}/update/${name}`;
    const response = await fetch(`${stack.temporalHttp}${path}`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({
        request: { input: { name, args: { payloads } } },
        waitPolicy: { lifecycleStage: 'UPDATE_WORKFLOW_EXECUTION_LIFECYCLE_STAGE_COMPLETED' },
      }),
    });
    const outcome = await response.text();
    assert.ok(response.status >= 400 || outcome.includes('"failure"'), outcome);
    return response.status;
  };
  const refusals = async (id: string) =>
    (await audit(stack, id, 'message.refused')).map(
      (one) => `${String(one.data['name'])}:${String(one.data['reason'])}`,
    );
  const sum = (text: string): string => `sha256:${createHash('sha256').update(text).digest('hex')}`;
  const forgedBell = (kind: Bell['kind'], change: Partial<Bell> = {}): Bell => ({
    ...{ id: `msg_forged_${kind}`, kind, digest: sum(kind), keyId: 'none', signature: 'AAAA' },
    ...change,
  });
  const kinds = ['submit', 'decide', 'cancel', 'retry'] as const;
  const workflow = (id: string, input: unknown, of = namespace): Promise<unknown> =>
    run(
      stack.temporalCli,
      [
        ...['workflow', 'start', '--workflow-id', id, '--type', 'run', '--task-queue', stack.taskQueue],
        ...['--input', JSON.stringify(input), '--address', stack.temporalAddress, '--namespace', of],
      ],
      { timeout: 20_000 },
    );
  /** The type of the failure that it ended with. */
  const failureOf = (id: string, of = namespace): Promise<string> =>
    until(`the end of ${id}`, async () => {
      const path = `/api/v1/namespaces/${of}/workflows/${id}/history?historyEventFilterType=2`;
      const text = await (await fetch(`${stack.temporalHttp}${path}`)).text();
      return /"EVENT_TYPE_WORKFLOW_EXECUTION_FAILED"[\s\S]*"type":\s*"(\w+)"/.exec(text)?.[1] ?? null;
    });

  it('gets nothing done with forged bells and forged messages, each of which is recorded', async () => {
    const parked = await parkPayment(stack);
    const [start] = await messagesOf(stack, parked.run);
    assert.ok(start);
    const principal = { id: 'mallory', kind: 'human', roles: ['finance.controller'], permissions: [] };
    const body = { kind: 'decide', approval: parked.approval, decision: 'approve', digest: parked.digest };
    const message = { v: 1, id: 'msg_forged', run: parked.run, principal, body, refs: [] };
    for (const kind of kinds) {
      await ring(stack, parked.run, forgedBell(kind));
      const known = { ...bellOf(start), kind };
      await ring(stack, parked.run, known);
      await signal(
        parked.run,
        kind,
        '--input',
        JSON.stringify({ message, keyId: 'none', signature: 'AAAA' }),
      );
      const withMore = { ...forgedBell(kind), decision: 'approve' };
      assert.equal(await sendTo(stack, parked.run, kind, [jsonPayload(withMore)]), 200);
      await update(parked.run, kind, [jsonPayload(forgedBell(kind))]);
    }
    await until('16 refusals', async () => (await refusals(parked.run)).length === 16);
    const expected = kinds.flatMap((kind) =>
      ['unknown_message', 'bad_signature', 'unsigned', 'unsigned'].map((reason) => `${kind}:${reason}`),
    );
    assert.deepEqual((await refusals(parked.run)).sort(), expected.sort());
    assert.equal((await getRun(stack, 'agent', parked.run)).run.status, 'waiting');
    assert.equal((await services.drafts()).filter((one) => one.key.startsWith(parked.run)).length, 0);
  });

  it('cannot block a run with garbage or an unknown encoding', async () => {
    const parked = await parkPayment(stack);
    const garbage: readonly (readonly EncodedPayload[])[] = [
      [encodePayload('json/plain', '{"not json')],
      [encodePayload('binary/encrypted-by-nobody', '??')],
      [{ metadata: {}, data: Buffer.from('??').toString('base64') }],
      [encodePayload('json/plain', `${'['.repeat(5_000)}${']'.repeat(5_000)}`)],
      [encodePayload('json/plain', JSON.stringify(forgedBell('decide', { id: 'x'.repeat(1_000_000) })))],
      [jsonPayload(forgedBell('decide', { id: 'with\u0000nul' }))],
      [jsonPayload({ ...forgedBell('decide'), ['__proto__']: 1 })],
      [jsonPayload([forgedBell('decide')])],
      [jsonPayload({ ...forgedBell('decide'), id: half, [half]: half })],
      [],
    ];
    for (const payloads of garbage) {
      assert.equal(await sendTo(stack, parked.run, 'decide', payloads), 200);
      await update(parked.run, 'submit', payloads);
    }
    await signal(parked.run, 'nobody-listens-to-this', '--input', '{}');
    await signal(parked.run, 'nobody-listens-to-this', '--input', JSON.stringify(half));
    const asked = [
      'workflow',
      'query',
      '--workflow-id',
      parked.run,
      '--input',
      JSON.stringify({ [half]: half }),
    ];
    assert.match(await cli(...asked, '--type', 'state'), /waiting/);
    await assert.rejects(cli(...asked, '--type', 'nobody-answers-this'), /did not register a handler/);
    await until('10 refusals', async () => (await refusals(parked.run)).length === garbage.length);
    assert.equal((await decide(stack, 'finance', parked.approval, 'approve')).status, 200);
    await action(stack, 'agent', parked.poll, 'executed');
    assert.equal((await refusals(parked.run)).length, garbage.length);
  });

  it('cannot use a message of another run, nor one of this run again', async () => {
    const source = await parkPayment(stack);
    const target = await parkPayment(stack);
    const bell = await lastBell(stack, source.run, 'submit');
    await ring(stack, target.run, bell);
    await ring(stack, source.run, bell);
    await until('wrong_run', async () => (await refusals(target.run)).includes('submit:wrong_run'));
    await until('replayed', async () => (await refusals(source.run)).includes('submit:replayed'));
    await ring(stack, source.run, bell);
    await ring(stack, source.run, { ...bell, kind: 'cancel' });
    await until('a name that is not its own', async () =>
      (await refusals(source.run)).includes('cancel:bad_signature'),
    );
    assert.equal((await refusals(source.run)).filter((reason) => reason === 'submit:replayed').length, 1);
    assert.equal((await getRun(stack, 'agent', source.run)).approvals.length, 1);
    assert.equal((await getRun(stack, 'agent', source.run)).run.status, 'waiting');
  });

  it('has a signed message taken once, however many others came after it', inCampaigns, async () => {
    const parked = await parkPayment(stack);
    const { body } = await submit(stack, 'agent', parked.run, 'erp.payment.draft', {
      arguments: { vendor: 'ONCE', amount: 7 },
    });
    assert.equal(body.result.status, 'executed', JSON.stringify(body));
    const bell = await lastBell(stack, parked.run, 'submit');
    // Of messages that were answered, the first kernel remembered 500.
    await withPool(async (pool) => {
      const asked = { principal: agent, body: submission, values: [jsonValue('args', {})] };
      await keepMessages(
        stack,
        pool,
        parked.run,
        Array.from({ length: 520 }, () => asked),
      );
      await until(
        'their answers',
        async () => {
          await sendTo(stack, parked.run, 'wake', []);
          const { submits, others } = await countUnanswered(pool, parked.run);
          return submits + others === 0;
        },
        120_000,
      );
    });
    await ring(stack, parked.run, bell);
    await until('replayed', async () => (await refusals(parked.run)).includes('submit:replayed'));
    const drafts = (await services.drafts()).filter((draft) => draft.key.startsWith(parked.run));
    assert.equal(drafts.length, 1);
  });

  it('cannot cancel through Temporal itself', async () => {
    const parked = await parkPayment(stack);
    await cli('workflow', 'cancel', '--workflow-id', parked.run);
    await until('the refusal', async () =>
      (await refusals(parked.run)).some((one) => one.startsWith('temporal.cancel')),
    );
    assert.equal((await getRun(stack, 'agent', parked.run)).run.status, 'waiting');
  });

  it('cannot start a run that nobody asked for: each ends, with a reason', async () => {
    const parked = await parkPayment(stack);
    const start = await lastBell(stack, parked.run, 'start');
    const kernel = kernelVersion;
    const carried = {
      rev: 7,
      digest: null,
      head: '',
      state: '',
      status: 'running',
      version: 7,
      wakeAt: null,
    };
    const inputs: readonly (readonly [string, unknown, string])[] = [
      ['old', { kernel: 1, start: { message: { kind: 'human' } }, carried: null }, 'KERNEL_VERSION'],
      ['null', null, 'KERNEL_VERSION'],
      ['text', 'garbage', 'KERNEL_VERSION'],
      ['half_a_pair', { kernel: half }, 'KERNEL_VERSION'],
      ['no_text', { kernel: { toString: 1, valueOf: 1 } }, 'KERNEL_VERSION'],
      ['half_a_name', { [half]: half, kernel, start: half, carried: half }, 'START_REFUSED'],
      ['half_a_bell', { kernel, start: forgedBell('start', { id: half }), carried: null }, 'START_REFUSED'],
      [
        'half_carried',
        { kernel, start, carried: { ...carried, state: half, dropped: true } },
        'START_REFUSED',
      ],
      ['half_a_digest', { kernel, start, carried: { ...carried, digest: half } }, 'START_REFUSED'],
      ['nul_digest', { kernel, start, carried: { ...carried, digest: '\0' } }, 'START_REFUSED'],
      ['no_start', { kernel, start: { message: { kind: 'human' } }, carried: null }, 'START_REFUSED'],
      ['unknown', { kernel, start: forgedBell('start'), carried: null }, 'START_REFUSED'],
      ['of_another', { kernel, start, carried: null }, 'START_REFUSED'],
      ['carried', { kernel, start, carried: { rev: 'many' } }, 'START_REFUSED'],
      ['before_its_start', { kernel, start, carried: { ...carried, rev: -(2 ** 40) } }, 'START_REFUSED'],
      ['carried_on', { kernel, start, carried: { rev: 7, digest: null, wakeAt: 1 } }, 'START_REFUSED'],
    ];
    for (const [name, input, failure] of inputs) {
      const id = newId('run');
      await workflow(id, input);
      assert.equal(await failureOf(id), failure, name);
      assert.equal((await stack.fetchAs('admin', 'GET', `/v1/runs/${id}`)).status, 404);
    }
    // The run's own id and its own start, in a namespace that is not its own.
    await workflow(parked.run, { kernel, start, carried: null }, 'countersign-dev');
    assert.equal(await failureOf(parked.run, 'countersign-dev'), 'START_REFUSED');
    assert.equal((await getRun(stack, 'agent', parked.run)).run.status, 'waiting');
    assert.equal((await decide(stack, 'finance', parked.approval, 'approve')).status, 200);
    await action(stack, 'agent', parked.poll, 'executed');
  });
});
