-- Flows of which no new run starts, and what holds a flow: the policy folder (`folder_flow`), a publication by the API,
-- or both. A flow that nothing holds any more is withdrawn; in an environment in which nothing holds it, none starts.

create table flow_withdrawal (
  name         text primary key,
  reason_ref   json,                           -- PayloadRef; null where the folder gave it up
  withdrawn_by text not null,
  withdrawn_at timestamptz not null
);

create table flow_publication (                -- what somebody has published by the API since the flow was withdrawn last
  name         text not null,
  environment  text not null,
  published_at timestamptz not null default now(),
  primary key (name, environment)
);

alter table folder_flow add column environment text;
update folder_flow f set environment = (
  select v.environment from flow_version v
   where v.name = f.name and v.hash = f.hash and v.plan_hash = f.plan_hash order by v.version desc limit 1);
alter table folder_flow alter column environment set not null;

-- Until now nobody noted it: what the folder does not hold came by the API.
insert into flow_publication (name, environment)
  select distinct v.name, v.environment from flow_version v
   where not exists (select 1 from folder_flow f where f.name = v.name and f.environment = v.environment);

create index idempotency_age on idempotency (created_at);

create function grant_application_rights_0011() returns void language plpgsql as $$
begin
  grant select, insert, update, delete on flow_withdrawal, flow_publication to countersign_app;
  grant delete on folder_flow to countersign_app;
end $$;
