SELECT agent, mailbox, count(*) FROM inbox
WHERE tenant = :tenant
GROUP BY agent, mailbox ORDER BY agent, mailbox;
