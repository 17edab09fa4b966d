INSERT INTO call (tenant, agent, mailbox, message, number, request, answer)
VALUES (:tenant, :agent, :mailbox, :message, :number, :request, NULL)
ON CONFLICT DO NOTHING;
