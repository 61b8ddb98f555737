-- Progressing while nobody has to do anything, Degraded when a person has to, Suspended while paused.
-- Only what Argo CD gives to scripts is used: no string library.

local status = obj.status or {}

local function condition(name)
  for _, entry in ipairs(status.conditions or {}) do
    if entry.type == name then
      return entry
    end
  end
  return { status = "Unknown" }
end

local function health(name, message)
  return { status = name, message = message }
end

if obj.spec.paused then
  return health("Suspended", "Paused: nothing is read from or written to Zoho and Platform.")
end

local ready = condition("Ready")

-- What an older generation was found to be says nothing about this one.
if status.observedGeneration ~= obj.metadata.generation then
  if ready.observedGeneration == obj.metadata.generation then
    return health("Progressing", ready.message)
  end
  return health("Progressing", "Waiting for crmflow to look at generation " .. obj.metadata.generation .. ".")
end

local stalled = condition("Stalled")
if stalled.status == "True" then
  return health("Degraded", stalled.message)
end

-- The flow before goes on, and a person has to see to what keeps the new one from being made.
if ready.reason == "RolledBack" then
  return health("Degraded", ready.message)
end

local reconciling = condition("Reconciling")
if reconciling.status == "True" then
  return health("Progressing", reconciling.message)
end

if ready.status == "True" then
  return health("Healthy", ready.message)
end
if ready.status == "False" then
  return health("Degraded", ready.message)
end
return health("Progressing", ready.message)
