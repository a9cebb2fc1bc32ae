-- Of whom a decision is.

create index decision_by on decision (by_id, run);
