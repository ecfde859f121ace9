-- Joins likes to exposures, adds them to their users' days, and counts the others by their reason.
WITH liked AS MATERIALIZED (
  SELECT n, u, p, at, name
  FROM jsonb_to_recordset(CAST(:rows AS jsonb)) AS t(n int, u int, p int, at timestamp, name text)
), placed AS MATERIALIZED (
  SELECT n, u, p, liked.at, own.key, coalesce(own.experiment, latest.experiment, '') AS experiment,
    CASE
      WHEN own.key IS NULL THEN CASE WHEN later.key IS NULL THEN 'no_exposure' ELSE 'early' END
      WHEN liked.at > own.served_at + make_interval(secs => 3600 * coalesce(
        (x.definition -> 'plan' -> 'rules' ->> 'join_hours')::float8, :join_hours)) THEN 'late'
    END AS reason
  FROM liked
  LEFT JOIN LATERAL ( -- the exposure that the like names, or else the latest one that may be meant
    SELECT key, experiment, served_at, 0 AS rank
    FROM exposures e
    WHERE e.key = liked.name AND e.user_id = liked.u AND liked.p = ANY (e.posts)
    UNION ALL (
    SELECT key, experiment, served_at, 1
    FROM exposures e
    WHERE e.user_id = liked.u AND e.served_at <= liked.at + :skew AND liked.p = ANY (e.posts)
    ORDER BY served_at DESC LIMIT 1)
    ORDER BY rank LIMIT 1
  ) own ON true
  LEFT JOIN LATERAL (
    SELECT key
    FROM exposures e
    WHERE own.key IS NULL AND e.user_id = liked.u AND e.served_at > liked.at + :skew AND liked.p = ANY (e.posts)
    LIMIT 1
  ) later ON true
  LEFT JOIN LATERAL ( -- in which experiment a like without one is counted
    SELECT experiment
    FROM exposures e
    WHERE own.key IS NULL AND e.user_id = liked.u
    ORDER BY served_at DESC LIMIT 1
  ) latest ON true
  LEFT JOIN experiments x ON x.name = own.experiment
), firsts AS MATERIALIZED (
  SELECT DISTINCT ON (key, p) n, key, p, at
  FROM placed
  WHERE reason IS NULL
  ORDER BY key, p, n
), joined AS (
  INSERT INTO exposure_likes (key, post_id, at)
  SELECT key, p, at FROM firsts
  ON CONFLICT DO NOTHING
  RETURNING key, post_id
), counted AS (
  UPDATE exposures e SET likes = e.likes + more.n
  FROM (SELECT key, count(*) AS n FROM joined GROUP BY key) more
  WHERE e.key = more.key
  RETURNING e.experiment, e.user_id, e.served_at::date AS day, e.weight_period, more.n,
    (e.likes = more.n)::int AS hit, (e.degraded IS NOT NULL)::int AS degraded
), summed AS (
  UPDATE exposure_days d
  SET likes = d.likes + more.n, hits = d.hits + more.hits,
    degraded_likes = d.degraded_likes + more.degraded_n, degraded_hits = d.degraded_hits + more.degraded_hits
  FROM (
    SELECT experiment, user_id, day, weight_period, sum(n) AS n, sum(hit) AS hits,
      sum(n * degraded) AS degraded_n, sum(hit * degraded) AS degraded_hits
    FROM counted
    GROUP BY 1, 2, 3, 4
  ) more
  WHERE d.experiment = more.experiment AND d.user_id = more.user_id AND d.day = more.day
    AND d.weight_period = more.weight_period
)
INSERT INTO unattributed_likes (experiment, day, reason, likes)
SELECT experiment, at::date, coalesce(reason, 'repeated'), count(*)
FROM placed
WHERE reason IS NOT NULL
  OR n NOT IN (SELECT f.n FROM firsts f JOIN joined j ON j.key = f.key AND j.post_id = f.p)
GROUP BY 1, 2, 3
ON CONFLICT (experiment, day, reason) DO UPDATE SET likes = unattributed_likes.likes + excluded.likes
