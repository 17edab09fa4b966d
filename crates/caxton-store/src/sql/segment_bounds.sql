SELECT min(seq_first), max(seq_last) FROM segment
WHERE tenant = :tenant;
