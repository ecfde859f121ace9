INSERT INTO experiments (name, definition, state, revision)
VALUES (:name, :definition, :state, :revision)
ON CONFLICT (name) DO UPDATE
SET definition = excluded.definition, state = excluded.state, revision = excluded.revision
