-- What lists of approvals are read by. Each order of a list stands in an index with the columns that it is ordered by, so that a
-- page begins where the last one ended. One table in one transaction, here and in what follows: whoever waits for a table while
-- holding another stands in the way of those who work.

create index approval_open_by_risk on approval ((-risk), requested_at, id) where closed_at is null;
create index approval_open_by_age on approval (requested_at, id) where closed_at is null;
create index approval_by_risk on approval ((-risk), requested_at, id);
create index approval_by_age on approval (requested_at, id);
create index approval_status on approval (status, (-risk), requested_at, id) where closed_at is not null;
create index approval_roles on approval using gin (roles);
