SELECT seq_first, seq_last, traces, conversations, agents FROM segment
WHERE tenant = :tenant AND seq_first > :after AND seq_first <= :until
ORDER BY seq_first LIMIT 1;
