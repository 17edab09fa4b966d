INSERT INTO dead_letter (tenant, message, receiver, mailbox, code, reason, attempts, buried)
VALUES (:tenant, :message, :receiver, :mailbox, :code, :reason, :attempts, :buried)
ON CONFLICT (tenant, message, receiver) DO UPDATE SET
  mailbox = excluded.mailbox, code = excluded.code, reason = excluded.reason,
  attempts = excluded.attempts, buried = excluded.buried;
