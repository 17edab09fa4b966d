DELETE FROM inbox
WHERE tenant = :tenant AND agent = :agent;
