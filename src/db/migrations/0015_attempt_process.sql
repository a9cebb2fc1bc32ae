-- An attempt is lost with its worker, and not because Temporal has missed its heartbeats: which process makes it.

alter table execution_attempt
  add column process text not null default '';   -- id in worker_process; empty: made before this was kept
