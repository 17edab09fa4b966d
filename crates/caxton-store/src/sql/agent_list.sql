SELECT name, manifest, native, digest, phase, created, updated FROM agent
WHERE tenant = :tenant
ORDER BY name;
