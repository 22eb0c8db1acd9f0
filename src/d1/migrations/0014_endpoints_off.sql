-- Webhooks give up: a delivery has a life, and an endpoint that takes nothing for days is switched off.

-- When its tenant or the operator last retried it: its life is counted from then on. Null: from its event.
ALTER TABLE deliveries ADD COLUMN retried_ms INTEGER;
-- Open deliveries by age, whichever endpoint they wait for.
CREATE INDEX deliveries_by_age ON deliveries (coalesce(retried_ms, created_ms)) WHERE open = 1;

-- The first failure in a row. Null in a row of the version before, until its next failure.
ALTER TABLE endpoints ADD COLUMN failing_since_ms INTEGER;

-- Why: it answered 410, as all that the version before writes, or it failed for too long. Where a whole endpoint is off, `url`
-- is the endpoint and `/*`.
ALTER TABLE gone_urls ADD COLUMN reason TEXT NOT NULL DEFAULT 'gone';
-- Webhooks, for the operator's overview.
CREATE INDEX webhooks_switched_off ON gone_urls (at_ms) WHERE url = 'webhook/*';

-- Where the tenant is notified that its webhook was switched off. Null: nowhere.
ALTER TABLE tenants ADD COLUMN webhook_notify_url TEXT;
