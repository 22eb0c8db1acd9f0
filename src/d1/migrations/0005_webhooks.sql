-- Webhooks: where a tenant wants to be told of what, and the outbox of what it is to be told.

-- Every tenant has a secret, since a task's `callback_url` is signed with it too. The hexadecimal digits are base 64
-- as well, which is how Standard Webhooks writes secrets.
ALTER TABLE tenants ADD COLUMN webhook_secret TEXT NOT NULL DEFAULT '';
UPDATE tenants SET webhook_secret = 'whsec_' || lower(hex(randomblob(24)));
-- Those that it replaced and that still sign beside it, as JSON: [{"text":…,"untilMs":…}], oldest first.
ALTER TABLE tenants ADD COLUMN webhook_secrets_before TEXT NOT NULL DEFAULT '[]';
ALTER TABLE tenants ADD COLUMN webhook_url TEXT;
-- JSON. Null: all.
ALTER TABLE tenants ADD COLUMN webhook_events TEXT;

-- One row a thing to tell. Its id is made of the task's, so that a task's end can be in here only once, whoever
-- writes it, and it is the `webhook-id` of every try.
CREATE TABLE deliveries (
  id TEXT PRIMARY KEY,
  tenant_id TEXT NOT NULL,
  -- `webhook` for the tenant's, else the origin of the task's `callback_url`: what rests, or works, as one.
  endpoint TEXT NOT NULL,
  event TEXT NOT NULL,
  -- The body is made of the task as it is when it is sent.
  task_id TEXT,
  -- Of what is told of no task: JSON.
  data TEXT,
  -- 1 while it is still to be told.
  open INTEGER NOT NULL DEFAULT 1,
  state TEXT NOT NULL DEFAULT 'pending' CHECK (state IN ('pending', 'sending', 'delivered', 'failed', 'dropped')),
  created_ms INTEGER NOT NULL,
  -- When it is tried next; while it is sent, the end of the sender's lease.
  due_ms INTEGER NOT NULL,
  attempts INTEGER NOT NULL DEFAULT 0,
  last_ms INTEGER,
  last_status INTEGER,
  last_problem TEXT
) WITHOUT ROWID;

CREATE INDEX deliveries_open ON deliveries (tenant_id, endpoint, due_ms) WHERE open = 1;
CREATE INDEX deliveries_of_tenant ON deliveries (tenant_id, id);

-- Endpoints that did not take what they were told; one that works has no row.
CREATE TABLE endpoints (
  tenant_id TEXT NOT NULL,
  endpoint TEXT NOT NULL,
  -- In a row.
  failures INTEGER NOT NULL,
  rests_until_ms INTEGER NOT NULL,
  PRIMARY KEY (tenant_id, endpoint)
) WITHOUT ROWID;

-- URLs that answered 410: they are told nothing more, until they are given again.
CREATE TABLE gone_urls (
  tenant_id TEXT NOT NULL,
  url TEXT NOT NULL,
  at_ms INTEGER NOT NULL,
  PRIMARY KEY (tenant_id, url)
) WITHOUT ROWID;
