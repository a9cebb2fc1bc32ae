-- One spelling of each principal: `folded` is the same for all of them, and the application fills it, for its rules are Unicode's and
-- not those of the database's locale. Of before this migration several may be alike, and go on as they are: so it is not unique, and
-- whoever adds a principal looks first, one at a time. A hash index: the folded form of a long id may be longer than a tree's rows.
alter table principal add column folded text;
create index principal_folded on principal using hash (folded);
create index principal_unfolded on principal (id) where folded is null;
