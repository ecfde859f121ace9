-- What the last day's answers look like: bursts, ids, likes of lately, clocks.
WITH answers AS MATERIALIZED (
  SELECT user_id, date_trunc('minute', served_at) AS minute, count(*) AS n, sum(likes) AS likes
  FROM exposures
  WHERE experiment = :name AND served_at > :since AND served_at <= :until AND user_id <> ALL (:forced)
  GROUP BY 1, 2
), minutes AS (
  SELECT minute, sum(n) AS n, sum(likes) AS likes FROM answers GROUP BY 1
), usual AS (
  SELECT percentile_cont(0.5) WITHIN GROUP (ORDER BY n) AS n FROM minutes
), bursts AS (
  SELECT coalesce(sum(m.n), 0) AS answers, coalesce(sum(m.likes), 0) AS likes, count(*) AS minutes, min(minute) AS since
  FROM minutes m, usual
  WHERE m.n > greatest(:times_usual * usual.n, :fewest)
), ids AS (
  SELECT user_id, sum(n) AS n, row_number() OVER (ORDER BY sum(n) DESC, user_id) AS place FROM answers GROUP BY 1
), lately AS (
  SELECT coalesce(sum(n), 0) AS n, coalesce(sum(likes), 0) AS likes
  FROM minutes
  WHERE minute > :lately AND minute <= :joined
)
SELECT (SELECT coalesce(sum(n), 0) FROM minutes) AS answers, (SELECT count(*) FROM ids) AS ids,
  (SELECT array_agg(user_id ORDER BY place) FROM ids WHERE place <= 5) AS heaviest,
  (SELECT coalesce(max(n), 0) FROM ids) AS of_one, (SELECT coalesce(sum(n), 0) FROM ids WHERE place <= 10) AS of_ten,
  bursts.answers AS in_bursts, bursts.likes AS likes_in_bursts, bursts.minutes AS burst_minutes, bursts.since AS burst_since,
  lately.n AS lately, lately.likes AS likes_lately
FROM bursts, lately
