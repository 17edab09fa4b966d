INSERT INTO message (tenant, id, seq, body)
VALUES (:tenant, :id, :seq, :body)
ON CONFLICT (tenant, id) DO NOTHING;
