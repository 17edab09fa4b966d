DELETE FROM inbox
WHERE tenant = :tenant AND seq = :seq AND agent = :agent AND mailbox = :mailbox;
