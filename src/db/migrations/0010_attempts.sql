-- Which executor an attempt called and under which key, whether its effect may have happened, and when the next one is.

alter table execution_attempt
  add column executor        integer not null default 0,      -- 0 is the step's own, n its nth fallback
  add column idempotency_key text not null default '',
  add column effect_possible boolean not null default false,  -- it succeeded, or nobody knows that it did not
  add column next_at         timestamptz;                     -- null: none follows, or at once

create index execution_attempt_doubt on execution_attempt (idempotency_key) where effect_possible;
