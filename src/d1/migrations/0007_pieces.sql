-- Work that a tick has handed over to the Queue: a row while it waits there or is being done, none afterwards.

CREATE TABLE pieces (
  -- `look:` and which; `send:`, `store:`, `settle:` and a place. It is all that a message says.
  name TEXT PRIMARY KEY,
  -- JSON: ids of the tasks to be looked at, whom nobody else looks at meanwhile.
  tasks TEXT NOT NULL,
  claimed INTEGER NOT NULL DEFAULT 0,
  -- From here on it counts as lost: nobody begins it any more, and what it stood for is due again.
  until_ms INTEGER NOT NULL
) WITHOUT ROWID;
