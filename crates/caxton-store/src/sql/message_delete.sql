DELETE FROM message
WHERE tenant = :tenant AND seq = :seq;
