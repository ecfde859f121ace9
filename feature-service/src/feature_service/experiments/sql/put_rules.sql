INSERT INTO rule_sets (name, rules, revision)
VALUES (:name, :rules, :revision)
ON CONFLICT (name) DO UPDATE
SET rules = excluded.rules, revision = excluded.revision
