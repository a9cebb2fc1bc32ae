-- What lists of runs are read by.

create index run_state on run (state, started_at desc, id desc);
create index run_environment on run (environment, started_at desc, id desc);
