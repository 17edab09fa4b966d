UPDATE call SET answer = :answer
WHERE tenant = :tenant AND agent = :agent AND mailbox = :mailbox AND message = :message
  AND number = :number AND answer IS NULL;
