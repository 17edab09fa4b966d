SELECT message, request, answer FROM call
WHERE tenant = :tenant;
