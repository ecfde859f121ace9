-- Whom the plan forces into a group, or ever did.
SELECT DISTINCT jsonb_object_keys(definition -> 'plan' -> 'forced')
FROM experiment_history
WHERE name = :name AND jsonb_typeof(definition -> 'plan' -> 'forced') = 'object'
