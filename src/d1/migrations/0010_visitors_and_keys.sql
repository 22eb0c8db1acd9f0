-- The client token that submitted a task, which alone reads it unless it has an end user. No index: it is read with the task.
ALTER TABLE tasks ADD COLUMN token_id TEXT;

-- Keys that may be alive at a time; the operator may allow more.
ALTER TABLE tenants ADD COLUMN max_keys INTEGER NOT NULL DEFAULT 100;
CREATE INDEX keys_unrevoked ON keys (tenant_id) WHERE revoked_ms IS NULL;

-- What tenants changed with their own keys, of which each has its newest entries kept.
CREATE INDEX audit_log_of_tenant ON audit_log (tenant_id, id) WHERE actor <> 'admin';
