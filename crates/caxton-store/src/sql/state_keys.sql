SELECT key FROM state
WHERE tenant = :tenant AND agent = :agent AND mailbox = :mailbox
  AND key > :after AND key >= :prefix
ORDER BY key LIMIT :rows;
