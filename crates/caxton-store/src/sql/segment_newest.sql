SELECT coalesce(max(seq_first), 0) FROM segment
WHERE tenant = :tenant;
