-- Everything that is stored has a life, and what is to be erased is erased in turns.

-- What is to be erased: of a person, of a tenant with `retention_days`, of a deleted tenant. A turn erases some hundred tasks
-- and goes behind all others.
CREATE TABLE erasure_turns (
  tenant_id TEXT NOT NULL,
  -- Empty: the tenant itself, whose row says what of it is to go.
  end_user TEXT NOT NULL,
  -- Of a person: tasks that were made up to then.
  at_ms INTEGER NOT NULL DEFAULT 0,
  -- From when something has been to erase; null: not known before its first turn.
  since_ms INTEGER,
  -- When it is taken; while it is, the end of the eraser's lease.
  due_ms INTEGER NOT NULL DEFAULT 0,
  -- Of a tenant: the id of a task up to which nothing is left.
  cursor TEXT NOT NULL DEFAULT '',
  PRIMARY KEY (tenant_id, end_user)
) WITHOUT ROWID;
CREATE INDEX erasure_turns_due ON erasure_turns (due_ms);
CREATE INDEX erasure_turns_since ON erasure_turns (since_ms) WHERE since_ms IS NOT NULL;

-- Whichever version of the Worker writes tenants.
CREATE TRIGGER tenant_with_retention AFTER INSERT ON tenants WHEN NEW.retention_days IS NOT NULL BEGIN
  INSERT INTO erasure_turns (tenant_id, end_user) VALUES (NEW.id, '') ON CONFLICT (tenant_id, end_user) DO NOTHING;
END;
CREATE TRIGGER tenant_to_erase AFTER UPDATE OF retention_days, deleted_ms ON tenants
WHEN NEW.retention_days IS NOT OLD.retention_days OR NEW.deleted_ms IS NOT OLD.deleted_ms BEGIN
  DELETE FROM erasure_turns
  WHERE tenant_id = NEW.id AND end_user = '' AND NEW.retention_days IS NULL AND NEW.deleted_ms IS NULL;
  INSERT INTO erasure_turns (tenant_id, end_user, since_ms, due_ms)
  SELECT NEW.id, '', NEW.deleted_ms, coalesce(NEW.deleted_ms, 0)
  WHERE NEW.retention_days IS NOT NULL OR NEW.deleted_ms IS NOT NULL
  ON CONFLICT (tenant_id, end_user) DO UPDATE SET due_ms = excluded.due_ms, since_ms = excluded.since_ms;
END;
-- Deleted tenants once more, those that are erased too: their objects have something left.
INSERT INTO erasure_turns (tenant_id, end_user, since_ms, cursor)
SELECT id, '', iif(erased_ms IS NULL, deleted_ms, NULL), iif(deleted_ms IS NULL, retention_cursor, '')
FROM tenants WHERE deleted_ms IS NOT NULL OR retention_days IS NOT NULL;

-- The version before asks here.
CREATE TRIGGER erasure_asked AFTER INSERT ON erasures BEGIN
  INSERT INTO erasure_turns (tenant_id, end_user, at_ms, since_ms, due_ms)
  VALUES (NEW.tenant_id, NEW.end_user, NEW.at_ms, NEW.at_ms, NEW.at_ms)
  ON CONFLICT (tenant_id, end_user) DO UPDATE SET at_ms = max(at_ms, excluded.at_ms);
  DELETE FROM erasures WHERE tenant_id = NEW.tenant_id AND end_user = NEW.end_user;
END;
INSERT INTO erasure_turns (tenant_id, end_user, at_ms, since_ms, due_ms)
SELECT tenant_id, end_user, at_ms, at_ms, worked_ms FROM erasures;
DELETE FROM erasures;

-- Who erases a task or file has it until `due_ms`; then another one goes on.
DROP INDEX tasks_erasing;
CREATE INDEX tasks_erasing ON tasks (due_ms) WHERE erasure = 'pending';
ALTER TABLE files ADD COLUMN due_ms INTEGER NOT NULL DEFAULT 0;
CREATE INDEX files_erasing_due ON files (due_ms) WHERE erasure = 'pending';

-- By age, for those that come to their end.
CREATE INDEX endpoints_by_age ON endpoints (backoff_until_ms);
CREATE INDEX gone_urls_by_age ON gone_urls (at_ms);
CREATE INDEX keys_by_end ON keys (min(coalesce(revoked_ms, expires_ms), coalesce(expires_ms, revoked_ms)));
