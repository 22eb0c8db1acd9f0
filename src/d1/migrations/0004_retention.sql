-- Erasing single tasks, all of an end user's, and what is older than a tenant wants to keep.

-- `tasks.erased`: 0 no, 2 the text is gone and the pictures are about to go, 1 all of it is gone.
CREATE INDEX tasks_erasing ON tasks (id) WHERE erased = 2;

-- End users whose tasks are to be erased, those made up to then; some may still run.
CREATE TABLE erasures (
  tenant_id TEXT NOT NULL,
  end_user TEXT NOT NULL,
  at_ms INTEGER NOT NULL,
  PRIMARY KEY (tenant_id, end_user)
) WITHOUT ROWID;

-- Null: tasks are kept for good.
ALTER TABLE tenants ADD COLUMN retention_days INTEGER;
-- The id up to which the tenant's tasks are erased for their age.
ALTER TABLE tenants ADD COLUMN erased_to TEXT NOT NULL DEFAULT '';
CREATE INDEX tenants_with_retention ON tenants (id) WHERE retention_days IS NOT NULL;
