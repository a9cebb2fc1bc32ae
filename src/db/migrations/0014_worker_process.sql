-- Which workers live, and what they serve: Temporal remembers a worker that is gone for more than a minute.

create table worker_process (
  id           text primary key,                 -- of one process: a restart is another one
  environments text[] not null,                  -- those that it polls
  unset        jsonb not null,                   -- references of connections that have no value there: names, never values
  seen_at      timestamptz not null default now()
);

create function grant_application_rights_0014() returns void language plpgsql as $$
begin
  grant select, insert, update, delete on worker_process to countersign_app;
end $$;
