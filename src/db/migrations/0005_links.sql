-- Links to one approval for one person: single-use, short-lived, revocable. The link itself is never stored.

create table approval_link (
  id         text primary key,
  hash       bytea not null unique,            -- HMAC-SHA-256 of the secret part under the service's pepper
  approval   text not null references approval (id),
  recipient  text not null references principal (id),
  created_by text not null,
  created_at timestamptz not null default now(),
  expires_at timestamptz not null,
  used_at    timestamptz,
  revoked_at timestamptz
);
create index approval_link_approval on approval_link (approval);

create function grant_application_rights_0005() returns void language plpgsql as $$
begin
  grant select, insert, update on approval_link to countersign_app;
end $$;
