-- What lists of records are read by. Times of records rise with them, so ranges of blocks are enough.
create index audit_record_flow on audit_record (flow, seq) where flow <> '';
create index audit_record_verdict on audit_record (verdict, seq) where verdict <> '';
create index audit_record_time on audit_record using brin (time) with (pages_per_range = 32);
