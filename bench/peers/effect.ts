// The effect of every flow of the benchmark: one request under an idempotency key of its own.

export async function effect(target: string, run: string): Promise<void> {
  const headers = { 'content-type': 'application/json', 'idempotency-key': `${run}:effect` };
  const body = JSON.stringify({ vendor: 'ACME', amount: 60_000 });
  const response = await fetch(`${target}/payments/draft`, { method: 'POST', headers, body });
  if (!response.ok) throw new Error(`the target answered ${response.status}`);
  await response.arrayBuffer();
}
