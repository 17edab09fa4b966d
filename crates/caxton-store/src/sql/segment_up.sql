SELECT seq_first FROM segment
WHERE tenant = :tenant AND seq_first <= :until
  AND seq_first >= coalesce((SELECT max(seq_first) FROM segment
                             WHERE tenant = :tenant AND seq_first <= :after), 0)
ORDER BY seq_first;
