-- The address at which that Temporal was last met: while it does not answer, a process with the same address goes on, and no other.

alter table temporal_home add column address text;
