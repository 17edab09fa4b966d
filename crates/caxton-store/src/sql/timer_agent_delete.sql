DELETE FROM timer
WHERE tenant = :tenant AND agent = :agent;
