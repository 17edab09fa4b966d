INSERT INTO state (tenant, agent, mailbox, key, value)
VALUES (:tenant, :agent, :mailbox, :key, :value)
ON CONFLICT (tenant, agent, mailbox, key) DO UPDATE SET value = excluded.value;
