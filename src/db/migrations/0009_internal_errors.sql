-- Failures in the workers' own code: a worker has no address to be asked at, so the API tells of them.

create table internal_error (
  process text primary key,                      -- the kind of process
  count   bigint not null
);

create function grant_application_rights_0009() returns void language plpgsql as $$
begin
  grant select, insert, update on internal_error to countersign_app;
end $$;
