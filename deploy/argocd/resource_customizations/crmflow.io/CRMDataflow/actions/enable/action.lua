obj.spec.ingestion = obj.spec.ingestion or {}
obj.spec.ingestion.enabled = true
return obj
