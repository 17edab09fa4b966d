INSERT INTO segment (tenant, seq_first, seq_last, traces, conversations, agents)
VALUES (:tenant, :seq_first, :seq_last, :traces, :conversations, :agents);
