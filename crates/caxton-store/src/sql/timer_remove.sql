DELETE FROM timer
WHERE tenant = :tenant AND agent = :agent AND mailbox = :mailbox AND name = :name;
