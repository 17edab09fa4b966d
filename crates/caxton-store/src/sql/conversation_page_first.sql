SELECT id, seq_first, seq_last, summary FROM conversation
WHERE tenant = :tenant
ORDER BY last DESC, id DESC LIMIT :rows;
