SELECT reason, sum(likes) AS likes
FROM unattributed_likes
WHERE experiment = :name
GROUP BY reason
