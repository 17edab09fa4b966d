SELECT message, receiver, mailbox, code, reason, attempts, buried FROM dead_letter
WHERE tenant = :tenant AND message = :message AND receiver = :receiver;
