-- What lists are read by. Each order of a list stands in an index with the columns that it is ordered by, so that a page begins
-- where the last one ended.

-- Of the run's document, what it has of the approval, without values of callers: whoever lists approvals reads no documents of
-- runs. It is true while `state_at` is `updated_at`; else whoever wrote the row knew nothing of it, and the document says.
alter table approval
  add column state json,
  add column state_at timestamptz;

create index approval_open_by_risk on approval ((-risk), requested_at, id) where closed_at is null;
create index approval_open_by_age on approval (requested_at, id) where closed_at is null;
create index approval_by_risk on approval ((-risk), requested_at, id);
create index approval_by_age on approval (requested_at, id);
create index approval_status on approval (status, (-risk), requested_at, id) where closed_at is not null;
create index approval_roles on approval using gin (roles);
drop index approval_open_risk;
drop index approval_open;
drop index approval_asked;

create index decision_by on decision (by_id, run);

create index run_state on run (state, started_at desc, id desc);
create index run_environment on run (environment, started_at desc, id desc);

-- Times of records rise with them, so ranges of blocks are enough.
create index audit_record_flow on audit_record (flow, seq) where flow <> '';
create index audit_record_verdict on audit_record (verdict, seq) where verdict <> '';
create index audit_record_time on audit_record using brin (time) with (pages_per_range = 32);
