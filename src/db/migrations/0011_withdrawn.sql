-- Flows of which no new run starts, and what holds a flow: the policy folder (`folder_flow`), a publication by the API,
-- or both. A flow that nothing holds any more is withdrawn.

create table flow_withdrawal (
  name         text primary key,
  reason_ref   json,                           -- PayloadRef; null where the folder gave it up
  withdrawn_by text not null,
  withdrawn_at timestamptz not null
);

create table flow_publication (                -- names that somebody has published by the API since they were withdrawn last
  name         text primary key,
  published_at timestamptz not null default now()
);

-- Until now nobody noted it: what the folder does not hold came by the API.
insert into flow_publication (name)
  select distinct v.name from flow_version v where not exists (select 1 from folder_flow f where f.name = v.name);

create index idempotency_age on idempotency (created_at);

create function grant_application_rights_0011() returns void language plpgsql as $$
begin
  grant select, insert, update, delete on flow_withdrawal, flow_publication to countersign_app;
  grant delete on folder_flow to countersign_app;
end $$;
