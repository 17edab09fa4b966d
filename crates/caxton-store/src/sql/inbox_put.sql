INSERT INTO inbox (tenant, seq, agent, mailbox, attempts)
VALUES (:tenant, :seq, :agent, :mailbox, :attempts);
