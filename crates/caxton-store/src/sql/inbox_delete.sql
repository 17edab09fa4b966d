DELETE FROM inbox
WHERE tenant = :tenant AND agent = :agent AND mailbox = :mailbox
  AND seq = (SELECT seq FROM message WHERE tenant = :tenant AND id = :id);
