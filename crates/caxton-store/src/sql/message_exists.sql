SELECT 1 FROM message
WHERE tenant = :tenant AND seq = :seq;
