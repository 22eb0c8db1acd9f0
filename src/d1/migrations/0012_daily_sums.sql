-- What is asked over a long time is kept as sums, so that neither its reader nor its sums need old rows of `tasks`. Ids of
-- tasks sort by time: cron adds up those that have ended, chunk by chunk, and moves the cursor in the same transaction.

-- The task up to which the sums go. One row; none: nothing is added up yet.
CREATE TABLE usage_cursor (
  one INTEGER PRIMARY KEY CHECK (one = 1),
  task_id TEXT NOT NULL,
  -- Where the chunk ends that is being added up.
  next_id TEXT NOT NULL
) WITHOUT ROWID;

-- Tasks up to the cursor that are in no sum: they had not ended by then, or their row came later.
CREATE TABLE unsummed_tasks (
  tenant_id TEXT NOT NULL,
  id TEXT NOT NULL,
  PRIMARY KEY (tenant_id, id)
) WITHOUT ROWID;

-- Writes nothing of a task that is new.
CREATE TRIGGER task_inserted_late AFTER INSERT ON tasks WHEN NEW.id <= (SELECT task_id FROM usage_cursor) BEGIN
  INSERT OR IGNORE INTO unsummed_tasks (tenant_id, id) VALUES (NEW.tenant_id, NEW.id);
END;

-- Use, without what was refused while its caller waited. `day`: of submission, UTC, such as 2026-01-31.
CREATE TABLE usage_days (
  tenant_id TEXT NOT NULL,
  day TEXT NOT NULL,
  key_id TEXT NOT NULL,
  model TEXT NOT NULL,
  tasks INTEGER NOT NULL,
  images INTEGER NOT NULL,
  credits INTEGER NOT NULL,
  PRIMARY KEY (tenant_id, day, key_id, model)
) WITHOUT ROWID;
CREATE INDEX usage_days_by_day ON usage_days (day);

-- The same of all tenants. `hidden`: of the tasks, those refused while their callers waited.
CREATE TABLE daily_totals (
  day TEXT PRIMARY KEY,
  tasks INTEGER NOT NULL,
  hidden INTEGER NOT NULL,
  images INTEGER NOT NULL,
  credits INTEGER NOT NULL,
  failed INTEGER NOT NULL
) WITHOUT ROWID;

-- What became of the tasks of the last two days.
CREATE TABLE hourly_outcomes (
  -- Of submission: hours since 1970, UTC.
  hour INTEGER NOT NULL,
  -- `completed`, `cancelled`, or the code of the failure.
  outcome TEXT NOT NULL,
  -- Of completed ones, by the time from submission to the stored picture; each bucket goes a tenth further than the one before.
  bucket INTEGER NOT NULL,
  tasks INTEGER NOT NULL,
  -- That time, added up.
  ms INTEGER NOT NULL,
  -- When the upstream last took one of them; 0: none.
  submitted_ms INTEGER NOT NULL,
  PRIMARY KEY (hour, outcome, bucket)
) WITHOUT ROWID;
