-- Requests of Slack that were taken, for as long as their signature is good: the same one again is a replay.

create table slack_request (
  mac     bytea primary key,                     -- the request's own signature
  seen_at timestamptz not null default now()
);
create index slack_request_seen on slack_request (seen_at);

create function grant_application_rights_0006() returns void language plpgsql as $$
begin
  grant select, insert, delete on slack_request to countersign_app;
end $$;
