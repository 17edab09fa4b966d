SELECT message, receiver, mailbox, code, reason, attempts, buried FROM dead_letter
WHERE tenant = :tenant
ORDER BY buried DESC, message DESC, receiver DESC LIMIT :rows;
