SELECT seq FROM message
WHERE tenant = :tenant AND id = :id;
