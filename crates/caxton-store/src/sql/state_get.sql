SELECT value FROM state
WHERE tenant = :tenant AND agent = :agent AND mailbox = :mailbox AND key = :key;
