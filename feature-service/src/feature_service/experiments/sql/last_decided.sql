-- The last decision on what users see: that of a shadow ranker, which nobody saw, changes nothing for them.
SELECT definition
FROM experiments
WHERE definition -> 'decision' ->> 'outcome' IS NOT NULL AND definition -> 'plan' ->> 'mode' <> 'shadow'
ORDER BY definition -> 'decision' ->> 'at' DESC, name
LIMIT 1
