DELETE FROM record
WHERE tenant = :tenant AND kind = :kind AND id = :id;
