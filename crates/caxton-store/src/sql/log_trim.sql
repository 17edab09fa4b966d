DELETE FROM log
WHERE tenant = :tenant AND kind = :kind AND key = :key AND position < :before;
