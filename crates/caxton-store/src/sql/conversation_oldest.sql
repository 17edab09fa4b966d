SELECT id, seq_first, seq_last, summary FROM conversation
WHERE tenant = :tenant AND last < :before AND (last, id) > (:last, :id)
ORDER BY last, id LIMIT :rows;
