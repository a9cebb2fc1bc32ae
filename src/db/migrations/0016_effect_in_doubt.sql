-- Of an attempt that its target answered with a failure of its own (5xx): its effect may have happened before that. A definite
-- refusal later, under the same key, then says nothing of it.

alter table execution_attempt add column effect_in_doubt boolean not null default false;

create index execution_attempt_in_doubt on execution_attempt (idempotency_key) where effect_possible or effect_in_doubt;
drop index execution_attempt_doubt;
