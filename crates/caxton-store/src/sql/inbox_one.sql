SELECT attempts FROM inbox
WHERE tenant = :tenant AND agent = :agent AND mailbox = :mailbox AND seq = :seq;
