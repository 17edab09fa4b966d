INSERT INTO log (tenant, kind, key, position, body)
VALUES (:tenant, :kind, :key, :position, :body)
ON CONFLICT DO NOTHING;
