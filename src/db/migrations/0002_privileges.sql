-- The log can be inserted into and read. Triggers hold for everybody, the owner included; ALWAYS makes
-- them hold in replica mode too. TRUNCATE needs one of its own.

create function refuse_change() returns trigger language plpgsql as $$
begin
  raise exception '% on % is refused: the log is append-only', tg_op, tg_table_name using errcode = 'insufficient_privilege';
end
$$;

create trigger audit_record_append_only before update or delete on audit_record for each row execute function refuse_change();
create trigger audit_record_no_truncate before truncate on audit_record for each statement execute function refuse_change();
create trigger audit_log_append_only before update or delete on audit_log for each row execute function refuse_change();
create trigger audit_log_no_truncate before truncate on audit_log for each statement execute function refuse_change();
create trigger payload_append_only before update or delete on payload for each row execute function refuse_change();
create trigger payload_no_truncate before truncate on payload for each statement execute function refuse_change();

alter table audit_record enable always trigger audit_record_append_only;
alter table audit_record enable always trigger audit_record_no_truncate;
alter table audit_log enable always trigger audit_log_append_only;
alter table audit_log enable always trigger audit_log_no_truncate;
alter table payload enable always trigger payload_append_only;
alter table payload enable always trigger payload_no_truncate;

do $$
begin
  if exists (select 1 from pg_roles where rolname = 'countersign_app') then
    grant usage on schema public to countersign_app;
    grant select, insert, update, delete on all tables in schema public to countersign_app;
    revoke update, delete, truncate on audit_record, audit_log, payload from countersign_app;
    revoke delete, truncate on run, run_step, action, approval, decision, execution_grant, execution_attempt, plan, flow_version, audit_chain, audit_head, payload_key from countersign_app;
    revoke insert, update, delete on schema_migration from countersign_app;
  end if;
end
$$;
