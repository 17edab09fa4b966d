SELECT message, receiver, mailbox, code, reason, attempts, buried FROM dead_letter
WHERE tenant = :tenant AND (buried, message, receiver) < (:buried, :message, :receiver)
ORDER BY buried DESC, message DESC, receiver DESC LIMIT :rows;
