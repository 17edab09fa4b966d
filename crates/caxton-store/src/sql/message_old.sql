SELECT seq, id, body FROM message
WHERE tenant = :tenant AND id > :after AND id < :before
ORDER BY id LIMIT :rows;
