INSERT INTO agent (tenant, name, manifest, native, digest, phase, created, updated)
VALUES (:tenant, :name, :manifest, :native, :digest, :phase, :created, :updated)
ON CONFLICT (tenant, name) DO UPDATE SET
  manifest = excluded.manifest, native = excluded.native, digest = excluded.digest,
  phase = excluded.phase, created = excluded.created, updated = excluded.updated;
