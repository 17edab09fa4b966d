DELETE FROM inbox
WHERE tenant = :tenant AND seq = :seq;
