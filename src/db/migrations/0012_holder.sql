-- Who handles the request under an idempotency key now: only it may renew its hold, keep its answer or let the key go.
alter table idempotency add column holder text;
