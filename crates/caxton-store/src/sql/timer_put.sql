INSERT INTO timer (tenant, agent, mailbox, name, due, content, origin)
VALUES (:tenant, :agent, :mailbox, :name, :due, :content, :origin)
ON CONFLICT (tenant, agent, mailbox, name) DO UPDATE SET
  due = excluded.due, content = excluded.content, origin = excluded.origin;
