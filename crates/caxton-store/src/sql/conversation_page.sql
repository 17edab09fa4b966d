SELECT id, seq_first, seq_last, summary FROM conversation
WHERE tenant = :tenant AND (last, id) < (:last, :id)
ORDER BY last DESC, id DESC LIMIT :rows;
