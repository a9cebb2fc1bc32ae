-- What publications compile to, kept beside them: the same version under the same policies, by the same code, is compiled once,
-- whichever process asks, and a start that ended halfway goes on where it was.

create table publication_compiled (
  name        text not null,
  version     integer not null,
  basis       text not null,                   -- hash of what it was compiled against
  result      json not null,                   -- the flow without its plan, which stands in `plan`; or why it has none
  compiled_at timestamptz not null default now(),
  primary key (name, version, basis)
);

create function grant_application_rights_0018() returns void language plpgsql as $$
begin
  grant select, insert, delete on publication_compiled to countersign_app;
end $$;
