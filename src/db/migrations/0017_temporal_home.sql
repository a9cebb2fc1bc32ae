-- To which Temporal the runs of this store belong: a process that works with another one would find none of their workflows
-- there, and end them.

create table temporal_home (
  namespace    text primary key,
  namespace_id text not null,                    -- Temporal's own id of it: the same at another address, another on another server
  task_queue   text not null,
  since        timestamptz not null default now()
);

create function grant_application_rights_0017() returns void language plpgsql as $$
begin
  grant select, insert, update, delete on temporal_home to countersign_app;
end $$;
