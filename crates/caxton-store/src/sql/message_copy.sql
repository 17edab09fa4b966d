SELECT id, body FROM message
WHERE tenant = :tenant AND seq = :seq;
