-- An annotation that Git does not have: no difference for Argo CD, and nothing that self-heal takes back.
obj.metadata.annotations = obj.metadata.annotations or {}
obj.metadata.annotations["crmflow.io/approve-plan"] = obj.status.plan.hash
return obj
