SELECT bytes FROM artifact
WHERE tenant = :tenant AND digest = :digest;
