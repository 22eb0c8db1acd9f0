-- Reference images that tenants upload. They live for three days: a row goes with its object.

CREATE TABLE files (
  id TEXT PRIMARY KEY,
  tenant_id TEXT NOT NULL,
  key_id TEXT NOT NULL,
  -- Of the client token that uploaded it.
  token_id TEXT,
  end_user TEXT,
  content_type TEXT NOT NULL,
  bytes INTEGER NOT NULL,
  width INTEGER NOT NULL,
  height INTEGER NOT NULL,
  created_ms INTEGER NOT NULL,
  expires_ms INTEGER NOT NULL,
  -- 0 no, 2 it answers no more and its bytes are about to go, 1 they are gone.
  erased INTEGER NOT NULL DEFAULT 0
) WITHOUT ROWID;

CREATE INDEX files_expiring ON files (expires_ms);
CREATE INDEX files_of_tenant ON files (tenant_id, end_user);
CREATE INDEX files_erasing ON files (tenant_id) WHERE erased = 2;
