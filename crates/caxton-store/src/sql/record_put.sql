INSERT INTO record (tenant, kind, id, body)
VALUES (:tenant, :kind, :id, :body)
ON CONFLICT (tenant, kind, id) DO UPDATE SET body = excluded.body;
