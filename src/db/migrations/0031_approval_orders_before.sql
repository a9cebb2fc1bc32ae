-- What 0027 takes the place of. Not with it: whoever has read the table may be about to write to it.

drop index approval_open_risk;
drop index approval_open;
drop index approval_asked;
