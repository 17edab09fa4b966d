UPDATE inbox SET attempts = :attempts
WHERE tenant = :tenant AND seq = :seq AND agent = :agent AND mailbox = :mailbox;
