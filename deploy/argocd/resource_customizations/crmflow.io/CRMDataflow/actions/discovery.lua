local paused = obj.spec.paused == true
local enabled = obj.spec.ingestion == nil or obj.spec.ingestion.enabled ~= false

return {
  reconcile = { disabled = paused },
  pause = { disabled = paused },
  resume = { disabled = not paused },
  enable = { disabled = enabled },
  disable = { disabled = not enabled },
}
