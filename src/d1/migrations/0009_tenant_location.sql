-- The region that a tenant's object is made in; null: as the gateway is configured.
ALTER TABLE tenants ADD COLUMN location_hint TEXT;
