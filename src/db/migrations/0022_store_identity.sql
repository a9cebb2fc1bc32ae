-- Its own name, for Temporal to hold: a task queue is worked for one store.

create table store_identity (
  id text primary key
);
insert into store_identity (id) values (gen_random_uuid()::text);

create function grant_application_rights_0022() returns void language plpgsql as $$
begin
  grant select on store_identity to countersign_app;
end $$;
