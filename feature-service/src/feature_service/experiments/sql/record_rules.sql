INSERT INTO rule_history (name, at, by, reason, what, revision, rules)
VALUES (:name, :at, :by, :reason, :what, :revision, :rules)
