-- Deleting tenants: their keys stop at once, what they made is erased task by task.

ALTER TABLE tenants ADD COLUMN deleted_ms INTEGER;
-- When nothing of it was left to erase.
ALTER TABLE tenants ADD COLUMN erased_ms INTEGER;
CREATE INDEX tenants_to_erase ON tenants (id) WHERE deleted_ms IS NOT NULL AND erased_ms IS NULL;

-- 1: prompt, metadata, end user and pictures are gone; the figures stay.
ALTER TABLE tasks ADD COLUMN erased INTEGER NOT NULL DEFAULT 0;

-- 1: it was replaced by another one, and works until it expires.
ALTER TABLE keys ADD COLUMN rotated INTEGER NOT NULL DEFAULT 0;
