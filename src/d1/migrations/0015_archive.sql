-- Tasks that have ended long ago are in R2, in parts. Of each part a row stays here.

CREATE TABLE task_parts (
  tenant_id TEXT NOT NULL,
  -- Its newest task; parts of a tenant do not overlap.
  last_id TEXT NOT NULL,
  first_id TEXT NOT NULL,
  -- Of the object in R2. A part that changes is another object.
  key TEXT NOT NULL,
  tasks INTEGER NOT NULL,
  -- Its oldest task whose text is there; null: all are erased.
  oldest_text_id TEXT,
  -- Some characters of each task's id, and of each end user's hash: what a part is found by. Most that they find is there.
  id_tags TEXT NOT NULL,
  end_user_tags TEXT NOT NULL,
  PRIMARY KEY (tenant_id, last_id)
) WITHOUT ROWID;
-- The operator's reads, which know no tenant.
CREATE INDEX task_parts_by_time ON task_parts (first_id);
-- What is to be erased for its age.
CREATE INDEX task_parts_with_text ON task_parts (tenant_id, oldest_text_id) WHERE oldest_text_id IS NOT NULL;

-- When the archive comes to a tenant next.
ALTER TABLE tenants ADD COLUMN archive_due_ms INTEGER NOT NULL DEFAULT 0;
CREATE INDEX tenants_archive_due ON tenants (archive_due_ms);

-- Objects in R2 that are to go: those that a part no longer is, and those that a writer left behind before it was one.
CREATE TABLE leftovers (
  key TEXT PRIMARY KEY,
  due_ms INTEGER NOT NULL
) WITHOUT ROWID;
CREATE INDEX leftovers_due ON leftovers (due_ms);
