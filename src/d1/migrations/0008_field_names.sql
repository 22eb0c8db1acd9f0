-- The field's names. Renamed once, while no deployment holds data that an older Worker still reads.

ALTER TABLE tasks RENAME COLUMN links_die_ms TO upstream_links_expire_ms;
ALTER TABLE tasks RENAME COLUMN hold TO hold_number;

-- `none`; `pending`: the text is gone and the bytes are about to go; `done`: all of it is gone.
ALTER TABLE tasks ADD COLUMN erasure TEXT NOT NULL DEFAULT 'none';
UPDATE tasks SET erasure = iif(erased = 2, 'pending', 'done') WHERE erased <> 0;
DROP INDEX tasks_erasing;
ALTER TABLE tasks DROP COLUMN erased;
CREATE INDEX tasks_erasing ON tasks (id) WHERE erasure = 'pending';

ALTER TABLE files ADD COLUMN erasure TEXT NOT NULL DEFAULT 'none';
UPDATE files SET erasure = iif(erased = 2, 'pending', 'done') WHERE erased <> 0;
DROP INDEX files_erasing;
ALTER TABLE files DROP COLUMN erased;
CREATE INDEX files_erasing ON files (tenant_id) WHERE erasure = 'pending';

ALTER TABLE acts RENAME TO audit_log;
ALTER TABLE audit_log RENAME COLUMN act TO action;

ALTER TABLE pieces RENAME TO work_items;
ALTER TABLE work_items RENAME COLUMN tasks TO task_ids;
UPDATE work_items SET name = 'poll:' || substr(name, 6) WHERE name LIKE 'look:%';

ALTER TABLE endpoints RENAME COLUMN rests_until_ms TO backoff_until_ms;
ALTER TABLE tenants RENAME COLUMN erased_to TO retention_cursor;
