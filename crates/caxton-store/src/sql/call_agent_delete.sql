DELETE FROM call
WHERE tenant = :tenant AND agent = :agent;
