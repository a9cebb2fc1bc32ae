-- Roles are made by the migrator (src/db/roles.ts) before this runs; the app role gets its rights in 0002.
-- `json`, never `jsonb`: jsonb refuses an escaped NUL, which a caller may send, and rewrites what it keeps.

create table plan (
  hash       text primary key,                 -- sha256:<hex> of body
  body       text not null                     -- canonical JSON of the Plan
);

create table flow_version (
  name         text not null,
  version      integer not null,
  hash         text not null,                  -- sha256:<hex> of the canonical definition
  plan_hash    text not null references plan (hash),
  environment  text not null,
  definition   text not null,                  -- canonical JSON of the definition as parsed
  source       text not null,                  -- the text as it was sent, comments included
  owner        text,
  description  text,
  warnings     json not null,
  published_at timestamptz not null default now(),
  published_by text not null,
  primary key (name, version)
);
create index flow_version_hash on flow_version (name, hash);

create table policy_set (
  seq       bigint generated always as identity primary key,
  hash      text not null,
  body      text not null,                     -- canonical JSON of the PolicySet
  loaded_at timestamptz not null default now()
);

create table signing_key (
  key_id     text primary key,
  public_key text not null,                    -- base64 SPKI DER, Ed25519
  created_at timestamptz not null default now(),
  retired_at timestamptz
);

create table principal (
  id         text primary key,
  kind       text not null check (kind in ('human', 'agent', 'system')),
  created_at timestamptz not null default now()
);

create table api_key (
  key_id       text primary key,
  hash         bytea not null unique,          -- HMAC-SHA-256 of the key under the service's pepper
  principal_id text not null references principal (id),
  roles        text[] not null,
  permissions  text[] not null,
  expires_at   timestamptz,
  created_at   timestamptz not null default now(),
  created_by   text not null,
  revoked_at   timestamptz
);

create table run (
  id            text primary key,
  flow          text not null,
  flow_version  integer not null,
  plan_hash     text not null references plan (hash),
  environment   text not null,
  mode          text not null check (mode in ('live', 'shadow')),
  namespace     text not null,
  state         text not null,
  status        text not null check (status in ('running', 'waiting', 'stuck', 'completed', 'cancelled', 'failed', 'timed_out')),
  version       integer not null default 0,
  rev           integer not null default 0,    -- steps taken; the optimistic lock of the kernel
  trace_id      text not null,
  started_by    text not null,
  started_by_kind text not null,
  started_at    timestamptz not null,
  updated_at    timestamptz not null,
  problem       json,
  executing     text,                          -- the action whose effect is under way; null: none
  doc           text,                          -- canonical JSON of the run's document; null until the first step
  doc_digest    text,                          -- sha256:<hex> of doc: what the next step builds on
  open_approvals integer not null default 0,
  open_bytes    bigint not null default 0      -- canonical bytes of the arguments that they hold
);
create index run_listing on run (started_at desc, id desc);
create index run_flow on run (flow, started_at desc);
create index run_status on run (status, started_at desc);
create index run_started_by on run (started_by, started_at desc);

create table run_step (                        -- the stored answer of each kernel step: a rerun gets it again
  run       text not null references run (id),
  rev       integer not null,
  event_key text not null,                     -- step, or outcome:<action>
  built_on  text,                              -- doc_digest of the step before; null: the first
  head      text not null,                     -- sha256:<hex> of the run's audit chain after it
  result    text not null,
  primary key (run, rev)
);

create table evidence (                        -- facts recorded for a run: the document keeps only what a guard can still ask for
  id    text primary key,
  run   text not null references run (id),
  seq   bigint generated always as identity,
  kind  text not null,
  at    timestamptz not null
);
create index evidence_run on evidence (run, seq);

create table action (
  id           text primary key,
  run          text not null references run (id),
  transition   text not null,                  -- or onEnter:<state>
  tool         text,
  status       text not null check (status in ('pending', 'approved', 'denied', 'expired', 'revoked', 'executing', 'executed', 'failed', 'unknown')),
  requested_by text not null,
  digest       text not null,
  approval     text,
  output_ref   json,                          -- PayloadRef
  error        json,                          -- {code, message, errorClass?}
  created_at   timestamptz not null,
  updated_at   timestamptz not null
);
create index action_run on action (run);

create table approval (
  id           text primary key,
  run          text not null references run (id),
  action       text not null references action (id),
  flow         text not null,
  environment  text not null,
  transition   text not null,
  status       text not null check (status in ('open', 'approved', 'denied', 'expired', 'escalated', 'revoked', 'consumed')),
  roles        text[] not null,
  requested_by text not null,
  requested_at timestamptz not null,
  expires_at   timestamptz,
  digest       text not null,
  doc          json not null,                 -- ApprovalDoc: what an approver needs, arguments by PayloadRef
  updated_at   timestamptz not null
);
create index approval_run on approval (run);
create index approval_open on approval (requested_at) where status in ('open', 'escalated');

create table decision (
  id          text primary key,
  approval    text not null references approval (id),
  run         text not null,
  by_id       text not null,
  by_kind     text not null,
  decision    text not null check (decision in ('approve', 'deny')),
  reason_ref  json,
  digest      text not null,
  at          timestamptz not null,
  status      text not null check (status in ('accepted', 'applied', 'refused')),
  code        text
);
create index decision_approval on decision (approval, at);

create table execution_grant (                 -- single use: inserted by the check, consumed with executor.started
  action      text primary key references action (id),
  run         text not null,
  digest      text not null,
  granted_at  timestamptz not null default now(),
  consumed_at timestamptz
);

create table execution_attempt (               -- intent before, outcome after
  action      text not null references action (id),
  attempt     integer not null,
  started_at  timestamptz not null,
  finished_at timestamptz,
  outcome     text check (outcome in ('succeeded', 'failed', 'unknown')),
  error_class text,
  primary key (action, attempt)
);

create table message (                         -- what enters a run: signed, kept for ever, answered once
  id           text primary key,
  run          text not null references run (id),
  kind         text not null check (kind in ('start', 'submit', 'decide', 'cancel', 'retry')),
  seq          bigint generated always as identity,
  text         text not null,                  -- canonical JSON of the SignedMessage: what was signed
  digest       text not null,                  -- sha256:<hex> of text
  key_id       text not null,
  signature    text not null,
  bytes        bigint not null,                -- canonical bytes of the values that it brings
  created_at   timestamptz not null default clock_timestamp(),
  rev          integer,                        -- the step that took it
  answer       text,                           -- JSON of the run's Answer
  answered_at  timestamptz,
  withdrawn_at timestamptz,                    -- the caller was told that nothing runs
  bells        integer not null default 0,     -- of it that have reached its run since it was taken
  attempts     integer not null default 0,     -- to ring for it again
  next_at      timestamptz not null default clock_timestamp() + interval '5 seconds'
);
create index message_due on message (next_at) where rev is null and withdrawn_at is null;
create index message_unanswered on message (run, seq) where answer is null and withdrawn_at is null;

create table idempotency (
  principal   text not null,
  method      text not null,
  path        text not null,
  key         text not null,
  body_hash   text not null,
  effect_id   text not null,                   -- the id that the first attempt gave to what it creates
  status      integer,
  headers     json,
  response    text,
  held_until  timestamptz not null,
  created_at  timestamptz not null default now(),
  primary key (principal, method, path, key)
);

-- payloads: apart from the record, encrypted under a data key per run ----------------------------

create table payload_key (
  run     text primary key,                    -- '' = the service's own
  wrapped bytea                                -- AES-256-GCM under the key-encryption key; null once shredded
);

create table payload (
  id         text primary key,
  run        text not null,
  commit     text not null,
  media      text not null,
  ciphertext bytea not null,                   -- nonce(12) || salt(32)+bytes encrypted || tag(16)
  created_at timestamptz not null default now()
);

-- the record -------------------------------------------------------------------------------------

create table audit_chain (
  chain text primary key,                      -- run id, or svc_<id> of an API or worker process
  run   boolean not null,
  size  bigint not null,
  head  bytea,
  closed boolean not null default false
);

create table audit_record (
  seq        bigint generated always as identity primary key,
  id         text not null unique,
  chain      text not null references audit_chain (chain),
  runseq     bigint not null,
  event_key  text not null unique,
  fact       bytea not null,                   -- SHA-256 of the asserted fact: same key, other fact = alarm
  body       bytea not null,                   -- the exact bytes that were hashed
  hash       bytea not null,                   -- SHA-256(0x00 || body): the leaf hash
  -- columns below are copies for queries
  run        text not null,
  about      text not null,                    -- run that a service record is about, or ''
  type       text not null,
  time       timestamptz not null,
  flow       text not null,
  environment text not null,
  trace_id   text not null,
  actor      text not null,
  actor_kind text not null,
  verdict    text not null,
  unique (chain, runseq)
);
create index audit_record_run on audit_record (run, runseq);
create index audit_record_about on audit_record (about) where about <> '';
create index audit_record_type on audit_record (type, seq);
create index audit_record_actor on audit_record (actor, seq);

create table audit_pending (                   -- records that the sequencer has not indexed yet
  seq bigint primary key references audit_record (seq)
);

create table audit_head (                      -- one row: the global log's size; its frontier comes with the Merkle log
  one  boolean primary key default true check (one),
  size bigint not null
);
insert into audit_head (one, size) values (true, 0);

create table audit_log (
  index bigint primary key,                    -- gapless, from 0, assigned by one sequencer transaction at a time
  seq   bigint not null unique references audit_record (seq)
);
