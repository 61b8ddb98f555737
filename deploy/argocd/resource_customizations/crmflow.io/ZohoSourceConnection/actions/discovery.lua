local paused = obj.spec.paused == true

return {
  reconcile = { disabled = paused },
  pause = { disabled = paused },
  resume = { disabled = not paused },
}
