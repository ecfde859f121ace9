INSERT INTO experiment_history (name, at, reason, definition, by, what, revision)
VALUES (:name, :at, :reason, :definition, :by, :what, :revision)
