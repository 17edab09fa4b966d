INSERT INTO conversation (tenant, id, last, seq_first, seq_last, summary)
VALUES (:tenant, :id, :last, :seq_first, :seq_last, :summary)
ON CONFLICT (tenant, id) DO UPDATE SET
  last = excluded.last, seq_last = excluded.seq_last, summary = excluded.summary;
