-- Prices, prepaid balances and models of tenants; what keys of both kinds are limited to; holds of tasks.

ALTER TABLE tenants ADD COLUMN prices TEXT NOT NULL DEFAULT '{}';
ALTER TABLE tenants ADD COLUMN models TEXT;
ALTER TABLE tenants ADD COLUMN prepaid INTEGER NOT NULL DEFAULT 0;
ALTER TABLE tenants ADD COLUMN opening_balance INTEGER NOT NULL DEFAULT 0;
ALTER TABLE tenants ADD COLUMN low_balance INTEGER;
-- The secret of the operator's or tenant's own Turnstile widget.
ALTER TABLE tenants ADD COLUMN turnstile_secret TEXT;

-- Allowed origins, models, limits and token settings, as JSON.
ALTER TABLE keys ADD COLUMN settings TEXT NOT NULL DEFAULT '{}';

-- The number of the task's hold in its tenant's object. Null: admitted before there were holds.
ALTER TABLE tasks ADD COLUMN hold INTEGER;

-- Ids of tasks that were admitted and never written: whoever comes to write one finds it here and stops.
CREATE TABLE voids (
  id TEXT PRIMARY KEY,
  at_ms INTEGER NOT NULL
) WITHOUT ROWID;

-- What the operator, or a tenant with its own keys, has changed.
CREATE TABLE acts (
  id TEXT PRIMARY KEY,
  at_ms INTEGER NOT NULL,
  -- "admin", or the id of a tenant's key.
  actor TEXT NOT NULL,
  act TEXT NOT NULL,
  tenant_id TEXT,
  subject TEXT,
  details TEXT NOT NULL,
  request_id TEXT NOT NULL
) WITHOUT ROWID;
