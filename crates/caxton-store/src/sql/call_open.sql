SELECT agent, mailbox, message, number, request FROM call
WHERE tenant = :tenant AND answer IS NULL
ORDER BY agent, mailbox, message, number;
