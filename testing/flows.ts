import assert from 'node:assert/strict';
import type { Stack } from './servers/stack.js';
import { until } from './until.js';

export { until };

// What end-to-end tests do: start, submit, decide, and wait until something is true.

export interface RunBody {
  readonly run: {
    readonly id: string;
    readonly state: string;
    readonly status: string;
    readonly version: number;
    readonly environment: string;
    readonly traceId: string;
    readonly problem?: { readonly code: string; readonly message: string };
  };
  readonly context: Record<string, unknown>;
  readonly evidence: readonly { readonly kind: string }[];
  readonly approvals: readonly {
    readonly id: string;
    readonly status: string;
    readonly transition: string;
  }[];
  readonly links: readonly { readonly rel: string; readonly expectedVersion: number }[];
}

export interface AuditItem {
  readonly index: number;
  readonly chain: string;
  readonly runSeq: number;
  readonly type: string;
  readonly hash: string;
  readonly prev: string | null;
  readonly actor: { readonly id: string; readonly kind: string };
  readonly data: Record<string, unknown>;
}

export async function startRun(
  stack: Stack,
  as: string,
  flow: string,
  input: object,
  extra: object = {},
): Promise<RunBody> {
  const { status, body } = await stack.fetchAs(as, 'POST', `/v1/flows/${flow}/runs`, { input, ...extra });
  assert.equal(status, 201, JSON.stringify(body));
  return body as RunBody;
}

export async function submit(
  stack: Stack,
  as: string,
  run: string,
  transition: string,
  body: object = {},
): Promise<{ status: number; body: any }> {
  const path = `/v1/runs/${run}/transitions/${encodeURIComponent(transition)}`;
  return stack.fetchAs(as, 'POST', path, body);
}

export async function getRun(stack: Stack, as: string, run: string): Promise<RunBody> {
  const { status, body } = await stack.fetchAs(as, 'GET', `/v1/runs/${run}`);
  assert.equal(status, 200, JSON.stringify(body));
  return body as RunBody;
}

export async function audit(stack: Stack, run: string, type?: string): Promise<AuditItem[]> {
  const items: AuditItem[] = [];
  let cursor: string | null = null;
  do {
    const query: string = `limit=500${type === undefined ? '' : `&type=${type}`}${cursor === null ? '' : `&cursor=${encodeURIComponent(cursor)}`}`;
    const { status, body } = await stack.fetchAs('auditor', 'GET', `/v1/runs/${run}/audit?${query}`);
    assert.equal(status, 200, JSON.stringify(body));
    const page = body as { data: AuditItem[]; nextCursor: string | null };
    items.push(...page.data);
    cursor = page.nextCursor;
  } while (cursor !== null);
  return items;
}

export async function decide(
  stack: Stack,
  as: string,
  approval: string,
  decision: 'approve' | 'deny',
  extra: object = {},
): Promise<{ status: number; body: any }> {
  const seen = await stack.fetchAs(as, 'GET', `/v1/approvals/${approval}`);
  assert.equal(seen.status, 200, JSON.stringify(seen.body));
  const { digest } = seen.body as { digest: string };
  const path = `/v1/approvals/${approval}/decision`;
  return stack.fetchAs(as, 'POST', path, { decision, digest, ...extra });
}

export async function action(
  stack: Stack,
  as: string,
  poll: string,
  status: string,
): Promise<{ status: string; output?: unknown; error?: { code: string } }> {
  return until(`action ${poll} to be ${status}`, async () => {
    const { body } = await stack.fetchAs(as, 'GET', poll);
    const found = body as { status: string };
    return found.status === status ? found : null;
  });
}

/** Starts a run and submits a payment that waits for the controller. */
export async function parkPayment(
  stack: Stack,
  amount = 60_000,
): Promise<{ run: string; approval: string; poll: string; digest: string }> {
  const started = await startRun(
    stack,
    'agent',
    'vendor-invoice-reconciliation',
    {},
    { environment: 'staging' },
  );
  const { status, body } = await submit(stack, 'agent', started.run.id, 'erp.payment.draft', {
    arguments: { vendor: 'ACME', amount },
  });
  assert.equal(status, 202, JSON.stringify(body));
  return {
    run: started.run.id,
    approval: body.result.approval.id,
    digest: body.result.approval.digest,
    poll: body.result.poll,
  };
}
