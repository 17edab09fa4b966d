SELECT seq, body FROM message
WHERE tenant = :tenant AND id = :id;
