INSERT INTO artifact (tenant, digest, bytes)
VALUES (:tenant, :digest, :bytes)
ON CONFLICT (tenant, digest) DO NOTHING;
