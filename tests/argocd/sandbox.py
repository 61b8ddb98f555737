"""Runs a script as Argo CD does: Lua 5.1 with the base functions, ``table``, and of ``os`` only what tells
the time.

Argo CD (util/lua/lua.go) offers no ``string``, ``math``, ``io`` or ``debug`` to scripts of users, and gives
``os`` only to ``require``. What comes back is JSON in between, where an empty table is an empty list.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from lupa import lua51

Object = dict[str, Any]

NOW = "2026-01-02T03:04:05Z"
"""What ``os.date`` says in any format: the time of day is no part of a test."""

_FORMAT = "!%Y-%m-%dT%H:%M:%SZ"
_GLOBALS = (
    *("_G", "_VERSION", "assert", "error", "getmetatable", "ipairs", "next", "pairs", "pcall", "print"),
    *("rawequal", "rawget", "rawset", "select", "setmetatable", "table", "tonumber", "tostring", "type"),
    *("unpack", "xpcall"),
)
_RESTRICT = """
local allowed, now, format = ...
getmetatable("").__index = nil
local os = {
  time = function() return 0 end,
  date = function(given)
    assert(given == format, "a format that the sandbox does not know")
    return now
  end,
}
for name in pairs(_G) do
  if not allowed[name] then
    _G[name] = nil
  end
end
require = function(name)
  assert(name == "os", "Argo CD has no module " .. name)
  return os
end
"""


def health(script: Path, obj: Object) -> Object:
    """The health that ``health.lua`` gives an object."""
    answer: Object = _run(script, obj)
    assert answer.keys() == {"status", "message"}, answer
    return answer


def actions(script: Path, obj: Object) -> list[Object]:
    """The actions that ``discovery.lua`` offers for an object, in the order of their names."""
    offered = _run(script, obj)
    return [{"name": name, "disabled": offered[name]["disabled"]} for name in sorted(offered)]


def act(script: Path, obj: Object) -> Object:
    """The object as an ``action.lua`` wants it."""
    answer: Object = _as_before(_run(script, obj), obj)
    return answer


def _run(script: Path, obj: Object) -> Any:
    lua = lua51.LuaRuntime(register_eval=False, register_builtins=False)
    lua.execute(_RESTRICT, lua.table_from(dict.fromkeys(_GLOBALS, True)), NOW, _FORMAT)
    lua.globals()["obj"] = lua.table_from(obj, recursive=True)
    return _from_lua(lua.execute(script.read_text()))


def _from_lua(value: Any) -> Any:
    if lua51.lua_type(value) != "table":
        return value
    keys = list(value)
    if keys == list(range(1, len(keys) + 1)):
        return [_from_lua(value[key]) for key in keys]
    return {key: _from_lua(value[key]) for key in keys}


def _as_before(new: Any, old: Any) -> Any:
    """Lua can't tell an empty object from an empty list; Argo CD keeps what it was."""
    if new == [] and isinstance(old, Mapping):
        return dict(old)
    if isinstance(new, dict) and isinstance(old, Mapping):
        return {key: _as_before(value, old.get(key)) for key, value in new.items()}
    if isinstance(new, list) and isinstance(old, list) and len(new) == len(old):
        return [_as_before(left, right) for left, right in zip(new, old, strict=True)]
    return new
