DELETE FROM agent
WHERE tenant = :tenant AND name = :name;
