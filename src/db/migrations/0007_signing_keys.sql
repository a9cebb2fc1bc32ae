-- Signing keys that the service has made for itself, which all its processes share. `retired_at` may lie ahead: until
-- then what was signed before is still taken.

alter table signing_key
  add column sealed bytea;                       -- private half under the service's KEK; null: only its process has it

create function grant_application_rights_0007() returns void language plpgsql as $$
begin
  grant select, insert, update on signing_key to countersign_app;
end $$;
