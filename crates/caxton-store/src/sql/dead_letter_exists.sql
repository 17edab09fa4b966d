SELECT 1 FROM dead_letter
WHERE tenant = :tenant AND message = :message LIMIT 1;
