SELECT message.body, inbox.attempts, inbox.seq
FROM inbox LEFT JOIN message ON message.seq = inbox.seq AND message.tenant = :tenant
WHERE inbox.tenant = :tenant AND inbox.agent = :agent AND inbox.mailbox = :mailbox
ORDER BY inbox.seq LIMIT :rows;
