DELETE FROM call
WHERE tenant = :tenant AND agent = :agent AND mailbox = :mailbox AND message = :message;
