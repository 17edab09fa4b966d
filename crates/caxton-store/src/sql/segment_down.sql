SELECT seq_first FROM segment
WHERE tenant = :tenant AND seq_first < :before
ORDER BY seq_first DESC;
