-- A run of which Temporal has no open workflow any more is found, though nobody asks it anything: when to look for it.
-- And one attempt of an effect at a time: whose the one under way is, and until when nobody else makes another.

alter table run add column check_at double precision;  -- epoch milliseconds; null: nothing is due of it by itself
create index run_check on run (check_at) where check_at is not null;

update run r set check_at = (s.result::json #>> '{result,wakeAt}')::double precision
  from run_step s
 where s.run = r.id and s.rev = r.rev and r.status in ('running', 'waiting', 'stuck');
update run set check_at = extract(epoch from updated_at) * 1000
 where executing is not null and status in ('running', 'waiting', 'stuck');

alter table execution_attempt
  add column owner       text not null default '',  -- the execution that makes it: Temporal's run id and activity id
  add column lease_until timestamptz;               -- until then its call may be under way; null: it is over

create index execution_attempt_leased on execution_attempt (idempotency_key) where lease_until is not null;
