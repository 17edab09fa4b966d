SELECT 1 FROM dead_letter
WHERE tenant = :tenant LIMIT 1;
