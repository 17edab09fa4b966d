SELECT position, body FROM log
WHERE tenant = :tenant AND kind = :kind AND key = :key
  AND position >= :from AND position < :before
ORDER BY position LIMIT :rows;
