SELECT body FROM message
WHERE tenant = :tenant
ORDER BY id;
