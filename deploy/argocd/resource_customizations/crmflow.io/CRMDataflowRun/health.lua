-- Progressing until the run has ended, Healthy if it has succeeded, Degraded if it has failed or a person has to
-- see to what it waits for. Only what Argo CD gives to scripts is used: no string library.

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

local failed = condition("Failed")
if failed.status == "True" then
  return health("Degraded", failed.message)
end

local complete = condition("Complete")
if complete.status == "True" then
  return health("Healthy", complete.message)
end

local stalled = condition("Stalled")
if stalled.status == "True" then
  return health("Degraded", stalled.message)
end

if complete.message then
  return health("Progressing", complete.message)
end
return health("Progressing", "Waiting for crmflow to look at the run.")
