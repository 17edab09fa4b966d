SELECT id, body FROM record
WHERE tenant = :tenant AND kind = :kind AND id > :after AND id >= :prefix
ORDER BY id LIMIT :rows;
