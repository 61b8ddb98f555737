local os = require("os")

obj.metadata.annotations = obj.metadata.annotations or {}
obj.metadata.annotations["crmflow.io/reconcile-requested-at"] = os.date("!%Y-%m-%dT%H:%M:%SZ")
return obj
