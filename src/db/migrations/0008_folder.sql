-- What the policy folder held of each flow when it was loaded last: a reload publishes what has changed since, also
-- back to something older, and a restart on an unchanged folder publishes nothing over what came by the API.

create table folder_flow (
  name      text primary key,
  hash      text not null,                       -- sha256:<hex> of the canonical definition
  plan_hash text not null references plan (hash)
);

create function grant_application_rights_0008() returns void language plpgsql as $$
begin
  grant select, insert, update on folder_flow to countersign_app;
end $$;
