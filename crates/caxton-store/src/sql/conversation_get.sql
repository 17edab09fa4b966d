SELECT id, seq_first, seq_last, summary FROM conversation
WHERE tenant = :tenant AND id = :id;
