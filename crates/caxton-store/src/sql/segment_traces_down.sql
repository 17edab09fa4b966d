SELECT seq_first, seq_last, traces FROM segment
WHERE tenant = :tenant AND seq_first < :before
ORDER BY seq_first DESC;
