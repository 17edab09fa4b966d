-- The first schema. Every table of a tenant's data begins with `tenant`, the small number that
-- stands for the tenant's id in this file. Times are microseconds since 1970, UTC.

-- One row: the owner's epoch. A commit of an older one is refused.
CREATE TABLE meta (
  key   TEXT NOT NULL PRIMARY KEY,
  value INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE tenant (
  tenant    INTEGER PRIMARY KEY,
  name      TEXT NOT NULL UNIQUE,
  dedicated INTEGER NOT NULL          -- 1: the data is in tenants/<name>.db
) STRICT;

-- Messages in the order they were accepted: `seq` grows over all tenants of the file, so that every
-- insert appends. `message_id` is what deduplicates; ids are UUIDv7 and stand first in it, so that it
-- appends too, however many tenants there are.
CREATE TABLE message (
  seq    INTEGER PRIMARY KEY,
  tenant INTEGER NOT NULL,
  id     BLOB NOT NULL,
  body   BLOB NOT NULL                -- message and mailboxes, binary form 1
) STRICT;
CREATE UNIQUE INDEX message_id ON message (id, tenant);

-- Who finds a tenant's messages by trace, conversation or agent: sorted (hash, seq) pairs for a run of
-- messages, written once in thousands. Ordinary indices here would dirty a page for each message.
CREATE TABLE segment (
  tenant        INTEGER NOT NULL,
  seq_first     INTEGER NOT NULL,
  seq_last      INTEGER NOT NULL,
  traces        BLOB NOT NULL,
  conversations BLOB NOT NULL,
  agents        BLOB NOT NULL,
  PRIMARY KEY (tenant, seq_first)
) STRICT, WITHOUT ROWID;

-- Deliveries that are not handled yet, in the order they were accepted; the order by mailbox is kept in
-- memory. `mailbox` is empty for the whole agent, else a conversation.
CREATE TABLE inbox (
  tenant   INTEGER NOT NULL,
  seq      INTEGER NOT NULL,
  agent    TEXT NOT NULL,
  mailbox  TEXT NOT NULL,
  attempts INTEGER NOT NULL,
  PRIMARY KEY (seq, tenant, agent, mailbox)
) STRICT, WITHOUT ROWID;

CREATE TABLE dead_letter (
  tenant   INTEGER NOT NULL,
  message  BLOB NOT NULL,
  receiver TEXT NOT NULL,
  mailbox  TEXT NOT NULL,
  code     TEXT NOT NULL,
  reason   TEXT NOT NULL,
  attempts INTEGER NOT NULL,
  buried   INTEGER NOT NULL,
  PRIMARY KEY (tenant, message, receiver)
) STRICT, WITHOUT ROWID;
CREATE INDEX dead_letter_buried ON dead_letter (tenant, buried, message, receiver);

CREATE TABLE state (
  tenant  INTEGER NOT NULL,
  agent   TEXT NOT NULL,
  mailbox TEXT NOT NULL,
  key     TEXT NOT NULL,
  value   BLOB NOT NULL,
  PRIMARY KEY (tenant, agent, mailbox, key)
) STRICT, WITHOUT ROWID;

CREATE TABLE timer (
  tenant  INTEGER NOT NULL,
  agent   TEXT NOT NULL,
  mailbox TEXT NOT NULL,
  name    TEXT NOT NULL,
  due     INTEGER NOT NULL,
  content BLOB NOT NULL,
  origin  BLOB,
  PRIMARY KEY (tenant, agent, mailbox, name)
) STRICT, WITHOUT ROWID;

-- Waiting calls: the `number`-th of the handling of `message`. Bodies as in `message`.
CREATE TABLE call (
  tenant  INTEGER NOT NULL,
  agent   TEXT NOT NULL,
  mailbox TEXT NOT NULL,
  message BLOB NOT NULL,
  number  INTEGER NOT NULL,
  request BLOB NOT NULL,
  answer  BLOB,
  PRIMARY KEY (tenant, agent, mailbox, message, number)
) STRICT, WITHOUT ROWID;

CREATE TABLE agent (
  tenant   INTEGER NOT NULL,
  name     TEXT NOT NULL,
  manifest TEXT NOT NULL,             -- JSON
  native   INTEGER NOT NULL,
  digest   BLOB,
  phase    TEXT NOT NULL,
  created  INTEGER NOT NULL,
  updated  INTEGER NOT NULL,
  PRIMARY KEY (tenant, name)
) STRICT, WITHOUT ROWID;

CREATE TABLE artifact (
  tenant INTEGER NOT NULL,
  digest BLOB NOT NULL,
  bytes  BLOB NOT NULL,
  UNIQUE (tenant, digest)
) STRICT;

-- A fold over the messages of a conversation. `seq_first` and `seq_last` say which segments have them.
CREATE TABLE conversation (
  tenant    INTEGER NOT NULL,
  id        TEXT NOT NULL,
  last      INTEGER NOT NULL,
  seq_first INTEGER NOT NULL,
  seq_last  INTEGER NOT NULL,
  summary   BLOB NOT NULL,            -- binary form 1
  PRIMARY KEY (tenant, id)
) STRICT, WITHOUT ROWID;
CREATE INDEX conversation_last ON conversation (tenant, last, id);
