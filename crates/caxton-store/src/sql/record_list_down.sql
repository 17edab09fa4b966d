SELECT id, body FROM record
WHERE tenant = :tenant AND kind = :kind AND id < :before AND id >= :prefix
ORDER BY id DESC LIMIT :rows;
