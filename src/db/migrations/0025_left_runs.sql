-- The task queue of another deployment, of whose store this one was made as a copy, where the run is that one's: whatever becomes
-- of its workflow there, nothing is done of it here. Null: it is this deployment's.

alter table run add column left_to text;
