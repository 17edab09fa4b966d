INSERT INTO inbox (tenant, agent, mailbox, seq, attempts)
VALUES (:tenant, :agent, :mailbox, :seq, 0)
ON CONFLICT DO NOTHING;
