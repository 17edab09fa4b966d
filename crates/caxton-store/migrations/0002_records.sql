-- Small documents of nouns that need no table of their own, and logs of appended entries. What a
-- body holds is the business of the noun that `kind` names.

CREATE TABLE record (
  tenant INTEGER NOT NULL,
  kind   TEXT NOT NULL,
  id     TEXT NOT NULL,
  body   BLOB NOT NULL,
  PRIMARY KEY (tenant, kind, id)
) STRICT, WITHOUT ROWID;

CREATE TABLE log (
  tenant   INTEGER NOT NULL,
  kind     TEXT NOT NULL,
  key      TEXT NOT NULL,
  position INTEGER NOT NULL,
  body     BLOB NOT NULL,
  PRIMARY KEY (tenant, kind, key, position)
) STRICT, WITHOUT ROWID;
