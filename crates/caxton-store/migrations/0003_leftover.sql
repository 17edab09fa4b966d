-- What removing and moving tenants has left to delete: rows that are no tenant's any more, or not
-- yet. Written in the transaction that makes them so, and gone when they are; what a crash leaves is
-- deleted at the next start. A tenant's number is never given again, so nothing here can be anybody's.
CREATE TABLE leftover (
  number INTEGER PRIMARY KEY,         -- as in the column `tenant` of all tables of tenants
  name   TEXT NOT NULL,               -- the tenant's id
  file   INTEGER NOT NULL             -- 1: what is left is the file tenants/<name>.db
) STRICT;
