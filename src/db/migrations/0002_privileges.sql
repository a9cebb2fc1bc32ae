-- What may never change, whoever asks, and what the application may do. ENABLE ALWAYS: the triggers
-- fire under session_replication_role = replica too. The statement triggers refuse what would touch
-- no row as well, so that the check at boot can try them on empty tables.

create function refuse_change() returns trigger language plpgsql as $$
begin
  raise exception '% of `%` is refused: the record is append-only', lower(tg_op), tg_table_name
    using errcode = 'insufficient_privilege', hint = 'correct the record by appending to it';
end $$;

do $$
declare
  kept text;
begin
  foreach kept in array array['audit_record', 'audit_log', 'payload', 'plan', 'policy_set'] loop
    execute format('create trigger append_only before update or delete or truncate on %I for each statement execute function refuse_change()', kept);
    execute format('create trigger append_only_row before update or delete on %I for each row execute function refuse_change()', kept);
    execute format('alter table %I enable always trigger append_only', kept);
    execute format('alter table %I enable always trigger append_only_row', kept);
  end loop;
  foreach kept in array array['audit_chain', 'audit_head', 'payload_key'] loop
    execute format('create trigger kept before delete or truncate on %I for each statement execute function refuse_change()', kept);
    execute format('create trigger kept_row before delete on %I for each row execute function refuse_change()', kept);
    execute format('alter table %I enable always trigger kept', kept);
    execute format('alter table %I enable always trigger kept_row', kept);
  end loop;
end $$;

-- A chain and the log only grow, and what is closed stays closed.
create function refuse_shrinking_chain() returns trigger language plpgsql as $$
begin
  if new.chain <> old.chain or new.run <> old.run or new.size < old.size or (old.closed and new is distinct from old) then
    raise exception 'audit chain `%` cannot shrink or be opened again', old.chain using errcode = 'insufficient_privilege';
  end if;
  return new;
end $$;
create trigger only_grows before update on audit_chain for each row execute function refuse_shrinking_chain();
alter table audit_chain enable always trigger only_grows;

create function refuse_shrinking_log() returns trigger language plpgsql as $$
begin
  if new.size < old.size then
    raise exception 'the audit log cannot shrink' using errcode = 'insufficient_privilege';
  end if;
  return new;
end $$;
create trigger only_grows before update on audit_head for each row execute function refuse_shrinking_log();
alter table audit_head enable always trigger only_grows;

-- Erasing a run's payloads is deleting its wrapped key, and nothing else.
create function refuse_other_than_shredding() returns trigger language plpgsql as $$
begin
  if new.run <> old.run or new.wrapped is not null then
    raise exception 'a data key can only be shredded' using errcode = 'insufficient_privilege';
  end if;
  return new;
end $$;
create trigger only_shredded before update on payload_key for each row execute function refuse_other_than_shredding();
alter table payload_key enable always trigger only_shredded;

-- A function, because the role may be made after the tables: the migrator calls it each time.
create function grant_application_rights() returns void language plpgsql as $$
begin
  execute format('grant usage on schema %I to countersign_app', current_schema());
  grant select, insert on audit_record, audit_log, payload, plan, policy_set to countersign_app;
  grant select, insert, update on audit_chain to countersign_app;
  grant select, update on audit_head to countersign_app;
  grant select, insert, delete on audit_pending to countersign_app;
  grant select, insert, update on payload_key to countersign_app;
  grant select, insert, update on flow_version, signing_key, principal, api_key, run, run_step, evidence, action, approval,
    decision, execution_grant, execution_attempt to countersign_app;
  grant select, insert on message to countersign_app;
  grant update (rev, answer, answered_at, withdrawn_at, bells, attempts, next_at) on message to countersign_app;
  grant select, insert, update, delete on idempotency to countersign_app;
end $$;
