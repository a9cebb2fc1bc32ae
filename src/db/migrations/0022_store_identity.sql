-- Its own name, for Temporal to hold: a task queue is worked for one store. Of a store that has been worked with it is its first
-- signing key's, so that a backup from before this migration comes to the same name when it is restored and migrated again.

create table store_identity (
  one boolean primary key default true check (one),
  id  text not null
);
insert into store_identity (id)
select coalesce((select key_id from signing_key order by created_at, key_id limit 1), gen_random_uuid()::text);

create function grant_application_rights_0022() returns void language plpgsql as $$
begin
  grant select on store_identity to countersign_app;
end $$;
