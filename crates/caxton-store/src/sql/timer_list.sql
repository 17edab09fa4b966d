SELECT agent, mailbox, name, due, content, origin FROM timer
WHERE tenant = :tenant
ORDER BY agent, mailbox, name;
