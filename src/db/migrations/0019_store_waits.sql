-- How often, and for how long, processes that have no address to be asked at could not reach the store.

create table store_wait (
  process text primary key,                      -- the kind of process
  count   bigint not null,
  seconds double precision not null
);

create function grant_application_rights_0019() returns void language plpgsql as $$
begin
  grant select, insert, update on store_wait to countersign_app;
end $$;
