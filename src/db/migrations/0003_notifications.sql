-- Who is told of an approval: one row for each event, channel and recipient, delivered by API processes.

create table notification (
  id         text primary key,                   -- the stable message id: the same at each attempt
  run        text not null,
  approval   text not null references approval (id),
  event      text not null,
  cause      text not null,                      -- the fact of the run that it tells of
  channel    text not null,                      -- a name of policies/notifications.yaml
  recipient  text not null default '',           -- an e-mail address; empty where the channel is one place
  status     text not null default 'waiting' check (status in ('waiting', 'delivered', 'failed', 'superseded')),
  attempts   integer not null default 0,
  next_at    timestamptz not null default now(), -- due; while one is under way, when its lease ends
  created_at timestamptz not null default now(),
  settled_at timestamptz,
  detail     text,                               -- what the last attempt came to; never a secret
  memo       text,                               -- what the channel wants to know again: Slack's message, say
  unique (run, cause, channel, recipient)
);
create index notification_due on notification (next_at) where status = 'waiting';
create index notification_approval on notification (approval, created_at);
create index notification_failed on notification (channel) where status = 'failed';

create function grant_application_rights_0003() returns void language plpgsql as $$
begin
  grant select, insert, update on notification to countersign_app;
end $$;
