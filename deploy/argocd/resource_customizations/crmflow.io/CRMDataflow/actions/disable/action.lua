obj.spec.ingestion = obj.spec.ingestion or {}
obj.spec.ingestion.enabled = false
return obj
