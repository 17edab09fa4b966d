SELECT tenant, name, dedicated FROM tenant ORDER BY name;
