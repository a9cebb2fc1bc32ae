-- What the request under an idempotency key has done, kept in the transaction that did it: whoever repeats it after its process
-- died is told of that, and does not do it again.
alter table idempotency add column effect json;
