INSERT INTO leftover (number, name, file) VALUES (:number, :name, :file)
ON CONFLICT (number) DO NOTHING;
