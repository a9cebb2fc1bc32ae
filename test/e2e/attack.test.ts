import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { after, before, describe, it } from 'node:test';
import { startServices, type Services } from '../support/services.js';
import { startStack, type Stack } from '../support/stack.js';
import { action, audit, decide, getRun, parkedPayment, until } from '../support/flows.js';

// Straight to Temporal, past the API: with the CLI and over its HTTP port.

const run = promisify(execFile);
const namespace = 'countersign-staging';

describe('whoever writes straight to Temporal', () => {
  let stack: Stack;
  let services: Services;
  before(async () => {
    services = await startServices();
    stack = await startStack({ env: services.env });
  });
  after(async () => {
    await stack.stop();
    await services.stop();
  });

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
  const http = async (
    id: string,
    what: 'signal' | 'update',
    name: string,
    payloads: unknown,
  ): Promise<number> => {
    const path = `/api/v1/namespaces/${namespace}/workflows/${id}/${what}/${name}`;
    const lifecycleStage = 'UPDATE_WORKFLOW_EXECUTION_LIFECYCLE_STAGE_COMPLETED';
    const input = { name, args: { payloads } };
    const body =
      what === 'signal'
        ? { input: { payloads } }
        : { request: { input, meta: { updateId: randomUUID() } }, waitPolicy: { lifecycleStage } };
    const response = await fetch(`${stack.temporalHttp}${path}`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify(body),
    });
    await response.text();
    return response.status;
  };
  const refusals = async (id: string) =>
    (await audit(stack, id, 'message.refused')).map(
      (one) => `${String(one.data['name'])}:${String(one.data['reason'])}`,
    );
  const json = (value: unknown) => [
    {
      metadata: { encoding: Buffer.from('json/plain').toString('base64') },
      data: Buffer.from(JSON.stringify(value)).toString('base64'),
    },
  ];

  it('gets nothing done with forged messages, each of which is recorded', async () => {
    const parked = await parkedPayment(stack);
    const principal = {
      id: 'mallory',
      kind: 'human',
      roles: ['finance.controller'],
      permissions: ['run.operate', 'approval.decide'],
    };
    const bodies: Record<string, object> = {
      submit: {
        kind: 'submit',
        transition: 'erp.payment.draft',
        arguments: { vendor: 'EVIL', amount: 1 },
        expectedVersion: null,
      },
      decide: {
        kind: 'decide',
        approval: parked.approval,
        decision: 'approve',
        digest: parked.digest,
        reasonGiven: false,
      },
      cancel: { kind: 'cancel' },
      retry: { kind: 'retry' },
    };
    for (const [name, body] of Object.entries(bodies)) {
      const message = {
        v: 1,
        id: `msg_forged_${name}`,
        delivery: 'd',
        run: parked.run,
        time: new Date().toISOString(),
        principal,
        body,
        refs: [],
      };
      await signal(
        parked.run,
        name,
        '--input',
        JSON.stringify({ message, keyId: 'none', signature: 'AAAA' }),
      );
      await signal(parked.run, name, '--input', JSON.stringify(message));
      await http(parked.run, 'update', name, json({ message, keyId: 'none', signature: 'AAAA' }));
      await http(parked.run, 'signal', name, json({ kind: 'human', decision: 'approve' }));
    }
    await until('16 refusals', async () => (await refusals(parked.run)).length === 16);
    assert.equal((await refusals(parked.run)).filter((one) => one.endsWith(':bad_signature')).length, 8);
    assert.equal((await getRun(stack, 'agent', parked.run)).run.status, 'waiting');
    assert.equal((await services.drafts()).filter((one) => one.key.startsWith(parked.run)).length, 0);
  });

  it('cannot block a run with garbage or an unknown encoding', async () => {
    const parked = await parkedPayment(stack);
    const encoding = (text: string) => Buffer.from(text).toString('base64');
    const garbage = [
      [{ metadata: { encoding: encoding('json/plain') }, data: encoding('{"not json') }],
      [{ metadata: { encoding: encoding('binary/encrypted-by-nobody') }, data: encoding('??') }],
      [{ metadata: {}, data: encoding('??') }],
      [
        {
          metadata: { encoding: encoding('json/plain') },
          data: encoding(`${'['.repeat(5_000)}${']'.repeat(5_000)}`),
        },
      ],
      [],
    ];
    for (const payloads of garbage) {
      await http(parked.run, 'signal', 'decide', payloads);
      await http(parked.run, 'update', 'submit', payloads);
    }
    await signal(parked.run, 'nobody-listens-to-this', '--input', '{}');
    await until('10 refusals', async () => (await refusals(parked.run)).length === 10);
    assert.equal((await decide(stack, 'finance', parked.approval, 'approve')).status, 200);
    await action(stack, 'agent', parked.poll, 'executed');
  });

  it('cannot use a message of another run, nor one of this run again', async () => {
    const source = await parkedPayment(stack);
    const target = await parkedPayment(stack);
    const { body } = await stack.fetchAs('auditor', 'GET', `/v1/runs/${source.run}/history`);
    const events = (
      body as {
        events: {
          workflowExecutionUpdateAcceptedEventAttributes?: {
            acceptedRequest: { input: { name: string; args: { payloads: unknown } } };
          };
        }[];
      }
    ).events;
    const input = events
      .flatMap((one) => one.workflowExecutionUpdateAcceptedEventAttributes?.acceptedRequest.input ?? [])
      .find((one) => one.name === 'submit');
    assert.ok(input);
    await http(target.run, 'signal', 'submit', input.args.payloads);
    await http(source.run, 'signal', 'submit', input.args.payloads);
    await until('wrong_run', async () => (await refusals(target.run)).includes('submit:wrong_run'));
    await until('replayed', async () => (await refusals(source.run)).includes('submit:replayed'));
    assert.equal((await getRun(stack, 'agent', source.run)).approvals.length, 1);
    await http(source.run, 'signal', 'cancel', input.args.payloads);
    await until('a name that is not its own', async () =>
      (await refusals(source.run)).includes('cancel:bad_signature'),
    );
    assert.equal((await getRun(stack, 'agent', source.run)).run.status, 'waiting');
  });

  it('cannot cancel through Temporal itself, nor start a run that nobody asked for', async () => {
    const parked = await parkedPayment(stack);
    await cli('workflow', 'cancel', '--workflow-id', parked.run);
    await until('the refusal', async () =>
      (await refusals(parked.run)).some((one) => one.startsWith('temporal.cancel')),
    );
    assert.equal((await getRun(stack, 'agent', parked.run)).run.status, 'waiting');
    await cli(
      'workflow',
      'start',
      '--workflow-id',
      'run_forged',
      '--type',
      'run',
      '--task-queue',
      stack.taskQueue,
      '--input',
      JSON.stringify({ kernel: 1, start: { message: { kind: 'human' } }, carried: null }),
    );
    await until('its end', async () =>
      /"status":\s*"WORKFLOW_EXECUTION_STATUS_FAILED"/.test(
        await cli('workflow', 'describe', '--workflow-id', 'run_forged', '--output', 'json'),
      ),
    );
    assert.equal((await stack.fetchAs('admin', 'GET', '/v1/runs/run_forged')).status, 404);
  });
});
