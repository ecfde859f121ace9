SELECT exp_group, model, model_version
FROM exposure_models
WHERE experiment = :name
ORDER BY exposures DESC, model, model_version
