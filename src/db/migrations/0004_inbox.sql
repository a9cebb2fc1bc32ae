-- The inbox: what it is ordered and searched by, who looks at what, who stands in for whom, and what is measured.

alter table approval
  add column tool text,
  add column tier text,
  add column risk smallint not null default 3,  -- 1 read_only, 2 reversible, 3 irreversible, or of no tier
  add column search text not null default '',   -- the sentence and the names, in lower case
  add column escalated_at timestamptz,
  add column closed_at timestamptz,             -- when it was first neither open nor escalated
  add column outcome text check (outcome in ('approved', 'denied', 'expired', 'revoked'));

-- One by one: Postgres cannot read a document that holds an escaped NUL, and one of those must not stop the others.
do $$
declare
  one record;
begin
  for one in select id, doc from approval loop
    begin
      update approval set tool = one.doc ->> 'tool', tier = one.doc ->> 'tier',
             risk = case one.doc ->> 'tier' when 'read_only' then 1 when 'reversible' then 2 else 3 end,
             search = lower(concat_ws(' ', one.doc ->> 'summary', one.doc ->> 'tool', transition, flow))
       where id = one.id;
    exception when others then
      update approval set search = lower(concat_ws(' ', transition, flow)) where id = one.id;
    end;
  end loop;
  update approval set closed_at = updated_at, outcome = case status when 'consumed' then 'approved' else status end
   where status not in ('open', 'escalated');
  update approval set escalated_at = updated_at where status = 'escalated';
end $$;
create index approval_open_risk on approval (risk desc, requested_at, id) where closed_at is null;
create index approval_asked on approval (requested_at);

create table approval_seen (                    -- when somebody who may decide first read it
  approval  text not null references approval (id),
  principal text not null,
  at        timestamptz not null,
  primary key (approval, principal)
);

create table approval_claim (                   -- who is looking at it: shown, and blocks nobody
  approval   text not null references approval (id),
  principal  text not null,
  claimed_at timestamptz not null,
  until      timestamptz not null,
  primary key (approval, principal)
);
create index approval_claim_principal on approval_claim (principal, until);

create table approval_delegation (              -- handed to a person who may decide it anyway
  approval     text not null references approval (id),
  delegate     text not null,
  delegated_by text not null,
  note_ref     json,                            -- PayloadRef
  at           timestamptz not null,
  primary key (approval, delegate, delegated_by)
);
create index approval_delegation_delegate on approval_delegation (delegate);

create table absence (                          -- one a person: who looks at their inbox meanwhile
  principal text primary key,
  starts_at timestamptz not null,
  ends_at   timestamptz not null,
  delegate  text not null,
  set_at    timestamptz not null,
  check (ends_at > starts_at)
);
create index absence_delegate on absence (delegate, ends_at);

create table approval_view (                    -- an inbox that a person has saved: filters and order
  principal  text not null,
  name       text not null,
  query      json not null,
  updated_at timestamptz not null default now(),
  primary key (principal, name)
);

create table principal_sight (                  -- the roles of those who sign in with tokens, as last seen
  principal   text primary key references principal (id),
  roles       text[] not null,
  permissions text[] not null,
  seen_at     timestamptz not null
);

create function grant_application_rights_0004() returns void language plpgsql as $$
begin
  grant select, insert, update on approval_seen, principal_sight to countersign_app;
  grant select, insert, update, delete on approval_claim, approval_delegation, absence, approval_view to countersign_app;
end $$;
