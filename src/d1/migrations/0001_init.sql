-- Tenants, their keys and their tasks. Times are unix milliseconds. WITHOUT ROWID: one row written per
-- insert instead of two, since the text key is the table.

CREATE TABLE tenants (
  id TEXT PRIMARY KEY,
  name TEXT NOT NULL,
  status TEXT NOT NULL DEFAULT 'active' CHECK (status IN ('active', 'suspended')),
  limits TEXT NOT NULL,
  -- Goes up with every change of the tenant or its keys; the tenant's object ignores older ones.
  config_version INTEGER NOT NULL DEFAULT 1,
  -- What the tenant's object has acknowledged. Cron pushes again where it lags.
  pushed_version INTEGER NOT NULL DEFAULT 0,
  created_ms INTEGER NOT NULL
) WITHOUT ROWID;

CREATE INDEX tenants_unpushed ON tenants (id) WHERE pushed_version < config_version;

CREATE TABLE keys (
  tenant_id TEXT NOT NULL,
  id TEXT NOT NULL,
  kind TEXT NOT NULL,
  name TEXT NOT NULL,
  -- SHA-256 of the whole key. The key itself is nowhere.
  hash TEXT NOT NULL,
  scopes TEXT NOT NULL,
  created_ms INTEGER NOT NULL,
  expires_ms INTEGER,
  revoked_ms INTEGER,
  PRIMARY KEY (tenant_id, id)
) WITHOUT ROWID;

CREATE TABLE tasks (
  id TEXT PRIMARY KEY,
  tenant_id TEXT NOT NULL,
  key_id TEXT NOT NULL,
  request_id TEXT NOT NULL,
  origin TEXT NOT NULL,
  state TEXT NOT NULL,
  -- 1 while anything is left to do. It keys the one index that cron reads, so that a change of state costs one row.
  open INTEGER NOT NULL DEFAULT 1,
  version INTEGER NOT NULL DEFAULT 1,
  model TEXT NOT NULL,
  input TEXT NOT NULL,
  metadata TEXT NOT NULL,
  end_user TEXT,
  price_credits INTEGER NOT NULL,
  created_ms INTEGER NOT NULL,
  deadline_ms INTEGER NOT NULL,
  finished_ms INTEGER,
  due_ms INTEGER NOT NULL,
  attempts INTEGER NOT NULL,
  -- 1 once a send ended without an answer: the upstream may have the task, so it can never be called off.
  uncertain INTEGER NOT NULL DEFAULT 0,
  upstream_id TEXT,
  submitted_ms INTEGER,
  refreshed_ms INTEGER NOT NULL DEFAULT 0,
  processing INTEGER NOT NULL DEFAULT 0,
  progress INTEGER NOT NULL DEFAULT 0,
  estimated_seconds INTEGER,
  images TEXT NOT NULL DEFAULT '[]',
  links_die_ms INTEGER,
  error_code TEXT,
  hidden INTEGER NOT NULL DEFAULT 0
) WITHOUT ROWID;

CREATE INDEX tasks_open ON tasks (created_ms) WHERE open = 1;
CREATE INDEX tasks_of_tenant ON tasks (tenant_id, id);

-- Claims of work that is not one task: who holds `tick` runs the rounds.
CREATE TABLE leases (
  name TEXT PRIMARY KEY,
  until_ms INTEGER NOT NULL
) WITHOUT ROWID;

INSERT INTO leases (name, until_ms) VALUES ('tick', 0), ('cool_down', 0);
