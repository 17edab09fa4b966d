DELETE FROM conversation
WHERE tenant = :tenant AND id = :id;
