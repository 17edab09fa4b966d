DELETE FROM state
WHERE tenant = :tenant AND agent = :agent;
