INSERT INTO user_data (user_id, age, gender, country, city, exp_group, os, source)
VALUES (:user_id, :age, :gender, :country, :city, :exp_group, :os, :source)
ON CONFLICT (user_id) DO UPDATE
SET age = excluded.age, gender = excluded.gender, country = excluded.country, city = excluded.city,
  exp_group = excluded.exp_group, os = excluded.os, source = excluded.source
