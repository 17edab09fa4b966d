INSERT INTO tenant (tenant, name, dedicated) VALUES (:tenant, :name, :dedicated);
