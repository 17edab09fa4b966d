DELETE FROM tenant WHERE tenant = :tenant;
