-- What cron and lists read is bounded by what they take, however much else waits.

-- Whose turn it is to be sent webhooks: derived of `deliveries` and `endpoints` by the triggers below, whichever version
-- of the Worker writes those. A claim takes the tenants that have waited longest, of each its endpoints that have, of
-- each the deliveries that have.

-- Endpoints with open deliveries. Of one whose deliveries are all being sent the time may be that of its claim.
CREATE TABLE endpoint_turns (
  tenant_id TEXT NOT NULL,
  endpoint TEXT NOT NULL,
  -- 1: it failed last time.
  failing INTEGER NOT NULL,
  -- When its earliest delivery is due, or its back-off ends, whichever is later.
  due_ms INTEGER NOT NULL,
  PRIMARY KEY (tenant_id, endpoint)
) WITHOUT ROWID;
CREATE INDEX endpoint_turns_due ON endpoint_turns (tenant_id, failing, due_ms);

-- The earliest turn of a tenant's endpoints that work, and of those that fail.
CREATE TABLE tenant_turns (
  tenant_id TEXT NOT NULL,
  failing INTEGER NOT NULL,
  due_ms INTEGER NOT NULL,
  PRIMARY KEY (tenant_id, failing)
) WITHOUT ROWID;
CREATE INDEX tenant_turns_due ON tenant_turns (failing, due_ms);

CREATE INDEX deliveries_sending ON deliveries (tenant_id, due_ms) WHERE state = 'sending';

-- A row that is inserted here has the turn of its endpoint derived again; nothing is kept.
CREATE VIEW changed_endpoints AS SELECT '' AS tenant_id, '' AS endpoint WHERE false;
CREATE TRIGGER derive_endpoint_turn INSTEAD OF INSERT ON changed_endpoints BEGIN
  DELETE FROM endpoint_turns WHERE tenant_id = NEW.tenant_id AND endpoint = NEW.endpoint AND NOT EXISTS (
    SELECT 1 FROM deliveries WHERE open = 1 AND tenant_id = NEW.tenant_id AND endpoint = NEW.endpoint);
  INSERT INTO endpoint_turns (tenant_id, endpoint, failing, due_ms)
  SELECT NEW.tenant_id, NEW.endpoint, failing.failures IS NOT NULL, max(first.due_ms, coalesce(failing.backoff_until_ms, 0))
  FROM (SELECT due_ms FROM deliveries WHERE open = 1 AND tenant_id = NEW.tenant_id AND endpoint = NEW.endpoint
    ORDER BY due_ms LIMIT 1) AS first
    LEFT JOIN endpoints AS failing ON failing.tenant_id = NEW.tenant_id AND failing.endpoint = NEW.endpoint
  WHERE true
  ON CONFLICT (tenant_id, endpoint) DO UPDATE SET failing = excluded.failing, due_ms = excluded.due_ms
  WHERE failing <> excluded.failing OR due_ms <> excluded.due_ms;
END;

CREATE VIEW changed_tenants AS SELECT '' AS tenant_id, 0 AS failing WHERE false;
CREATE TRIGGER derive_tenant_turn INSTEAD OF INSERT ON changed_tenants BEGIN
  DELETE FROM tenant_turns WHERE tenant_id = NEW.tenant_id AND failing = NEW.failing AND NOT EXISTS (
    SELECT 1 FROM endpoint_turns WHERE tenant_id = NEW.tenant_id AND failing = NEW.failing);
  INSERT INTO tenant_turns (tenant_id, failing, due_ms)
  SELECT NEW.tenant_id, NEW.failing, first.due_ms
  FROM (SELECT due_ms FROM endpoint_turns WHERE tenant_id = NEW.tenant_id AND failing = NEW.failing
    ORDER BY due_ms LIMIT 1) AS first
  WHERE true
  ON CONFLICT (tenant_id, failing) DO UPDATE SET due_ms = excluded.due_ms WHERE due_ms <> excluded.due_ms;
END;

CREATE TRIGGER delivery_inserted AFTER INSERT ON deliveries WHEN NEW.open = 1 BEGIN
  INSERT INTO changed_endpoints (tenant_id, endpoint) VALUES (NEW.tenant_id, NEW.endpoint);
END;
-- Not when it is claimed: those under way are few, and a claim passes over them.
CREATE TRIGGER delivery_updated AFTER UPDATE OF open, due_ms ON deliveries WHEN NEW.state <> 'sending' BEGIN
  INSERT INTO changed_endpoints (tenant_id, endpoint) VALUES (NEW.tenant_id, NEW.endpoint);
END;
CREATE TRIGGER delivery_deleted AFTER DELETE ON deliveries WHEN OLD.open = 1 BEGIN
  INSERT INTO changed_endpoints (tenant_id, endpoint) VALUES (OLD.tenant_id, OLD.endpoint);
END;

CREATE TRIGGER endpoint_inserted AFTER INSERT ON endpoints BEGIN
  INSERT INTO changed_endpoints (tenant_id, endpoint) VALUES (NEW.tenant_id, NEW.endpoint);
END;
CREATE TRIGGER endpoint_updated AFTER UPDATE ON endpoints BEGIN
  INSERT INTO changed_endpoints (tenant_id, endpoint) VALUES (NEW.tenant_id, NEW.endpoint);
END;
CREATE TRIGGER endpoint_deleted AFTER DELETE ON endpoints BEGIN
  INSERT INTO changed_endpoints (tenant_id, endpoint) VALUES (OLD.tenant_id, OLD.endpoint);
END;

CREATE TRIGGER endpoint_turn_inserted AFTER INSERT ON endpoint_turns BEGIN
  INSERT INTO changed_tenants (tenant_id, failing) VALUES (NEW.tenant_id, NEW.failing);
END;
CREATE TRIGGER endpoint_turn_updated AFTER UPDATE ON endpoint_turns BEGIN
  INSERT INTO changed_tenants (tenant_id, failing) VALUES (OLD.tenant_id, OLD.failing), (NEW.tenant_id, NEW.failing);
END;
CREATE TRIGGER endpoint_turn_deleted AFTER DELETE ON endpoint_turns BEGIN
  INSERT INTO changed_tenants (tenant_id, failing) VALUES (OLD.tenant_id, OLD.failing);
END;

INSERT INTO changed_endpoints (tenant_id, endpoint) SELECT DISTINCT tenant_id, endpoint FROM deliveries WHERE open = 1;

-- End users whose tasks are to be erased, and tenants that are deleted, in turns: when cron last took one up, or when it
-- was asked for. The earliest comes first.
ALTER TABLE erasures ADD COLUMN worked_ms INTEGER NOT NULL DEFAULT 0;
CREATE INDEX erasures_in_turn ON erasures (worked_ms);
ALTER TABLE tenants ADD COLUMN erasure_worked_ms INTEGER NOT NULL DEFAULT 0;
DROP INDEX tenants_to_erase;
CREATE INDEX tenants_to_erase ON tenants (erasure_worked_ms) WHERE deleted_ms IS NOT NULL AND erased_ms IS NULL;

-- Lists by end user. Only tasks that have one are in it.
CREATE INDEX tasks_of_end_user ON tasks (tenant_id, end_user, id) WHERE end_user IS NOT NULL;
