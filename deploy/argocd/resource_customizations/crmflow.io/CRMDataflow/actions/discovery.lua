local paused = obj.spec.paused == true
local enabled = obj.spec.ingestion == nil or obj.spec.ingestion.enabled ~= false
local plan = obj.status and obj.status.plan or {}

return {
  reconcile = { disabled = paused },
  pause = { disabled = paused },
  resume = { disabled = not paused },
  enable = { disabled = enabled },
  disable = { disabled = not enabled },
  approve = { disabled = plan.state ~= "WaitingForApproval" },
}
