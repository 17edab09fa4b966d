SELECT seq_first, traces FROM segment
WHERE tenant = :tenant
ORDER BY seq_first LIMIT 1;
