SELECT agent, mailbox, count(*) FROM inbox
WHERE tenant = :tenant AND agent = :agent
GROUP BY agent, mailbox ORDER BY agent, mailbox;
