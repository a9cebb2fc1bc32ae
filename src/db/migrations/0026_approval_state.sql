-- Of the run's document, what it has of the approval, without values of callers: whoever lists approvals reads no documents of
-- runs. It is true while `state_at` is `updated_at`; else whoever wrote the row knew nothing of it, and the document says.
-- Alone in its transaction, since it holds the table: it takes no longer for a large one.

alter table approval
  add column state json,
  add column state_at timestamptz;
