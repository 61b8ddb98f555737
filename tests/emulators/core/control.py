"""The control API that both emulators share: health, state, reset, clock, switches, exchanges, faults."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar

from aiohttp import web
from aiohttp.typedefs import Handler
from pydantic import BaseModel, ConfigDict, ValidationError

from tests.emulators.core.clock import EmulatorClock
from tests.emulators.core.faults import Fault, Faults
from tests.emulators.core.recorder import Recorder
from tests.emulators.core.web import ServiceError, answer, errors_as, read_json

M = TypeVar("M", bound=BaseModel)


class State(Protocol):
    """What the control API needs of an emulator's state."""

    @property
    def switches(self) -> BaseModel:
        """Its switches; an assignment is validated."""
        ...

    def reset(self) -> None:
        """Back to the seed."""
        ...

    def dump(self) -> dict[str, Any]:
        """Everything as JSON, secrets replaced."""
        ...

    def snapshot(self) -> Any:
        """What clients have made, as JSON in clear."""
        ...

    def restore(self, snapshot: Any) -> None:
        """Hold that again, on top of the seed; raises ValidationError."""
        ...


class Snapshot(BaseModel):
    """What clients had made at a time; ``states`` has a member per emulator."""

    model_config = ConfigDict(extra="forbid")

    now: float
    states: dict[str, Any]


class ClockChange(BaseModel):
    """Let seconds pass, or stand that far from the system's clock."""

    model_config = ConfigDict(extra="forbid")

    advance: float | None = None
    offset: float | None = None


@dataclass
class Shared:
    """What the control API works on."""

    clock: EmulatorClock
    recorder: Recorder
    faults: Faults
    states: Mapping[str, State]
    settle: Callable[[], Awaitable[None]]
    """Work off what was due by now."""


def control_app(shared: Shared, routes: list[web.RouteDef]) -> web.Application:
    """The application of the control listener; ``routes`` are those of the two emulators."""

    @web.middleware
    async def settled(request: web.Request, handler: Handler) -> web.StreamResponse:
        await shared.settle()
        return await handler(request)

    application = web.Application(middlewares=[errors_as(_render), settled])
    control = _Control(shared)
    application.router.add_routes(
        [
            web.get("/healthz", control.health),
            web.get("/state", control.state),
            web.get("/snapshot", control.snapshot),
            web.put("/snapshot", control.restore),
            web.post("/reset", control.reset),
            web.get("/clock", control.get_clock),
            web.post("/clock", control.set_clock),
            web.get("/switches/{emulator}", control.get_switches),
            web.patch("/switches/{emulator}", control.set_switches),
            web.get("/exchanges", control.exchanges),
            web.get("/faults", control.get_faults),
            web.post("/faults", control.add_fault),
            web.delete("/faults", control.clear_faults),
            *routes,
        ]
    )
    return application


async def read_model(request: web.Request, model: type[M]) -> M:
    """The request's body as ``model``; an empty body is an empty object. Raises a 400."""
    body = await read_json(request)
    try:
        return model.model_validate({} if body is None else body)
    except ValidationError as error:
        raise refused(400, _reasons(error)) from None


def refused(status: int, reason: str) -> ServiceError:
    """An error of the control API."""
    return ServiceError(status, {"error": reason})


class _Control:
    def __init__(self, shared: Shared) -> None:
        self._shared = shared

    async def health(self, request: web.Request) -> web.Response:
        return answer({"status": "ok"})

    async def state(self, request: web.Request) -> web.Response:
        states = {name: state.dump() for name, state in self._shared.states.items()}
        return answer({**states, "clock": self._clock(), "exchanges": self._shared.recorder.count})

    async def snapshot(self, request: web.Request) -> web.Response:
        states = {name: state.snapshot() for name, state in self._shared.states.items()}
        return answer(Snapshot(now=self._shared.clock.now(), states=states).model_dump())

    async def restore(self, request: web.Request) -> web.Response:
        """Everything as it was, and the time with it."""
        wanted = await read_model(request, Snapshot)
        if unknown := sorted(set(wanted.states) - set(self._shared.states)):
            raise refused(400, f"no such emulator: {', '.join(unknown)}")
        self._reset()
        for name, content in wanted.states.items():
            try:
                self._shared.states[name].restore(content)
            except ValidationError as error:
                raise refused(400, f"{name}: {_reasons(error)}") from None
        clock = self._shared.clock
        clock.advance(wanted.now - clock.now())
        return answer(self._clock())

    async def reset(self, request: web.Request) -> web.Response:
        self._reset()
        return answer({})

    def _reset(self) -> None:
        for state in self._shared.states.values():
            state.reset()
        self._shared.faults.clear()

    async def get_clock(self, request: web.Request) -> web.Response:
        return answer(self._clock())

    async def set_clock(self, request: web.Request) -> web.Response:
        change = await read_model(request, ClockChange)
        if (change.advance is None) == (change.offset is None):
            raise refused(400, "either advance or offset is expected")
        if change.offset is not None:
            self._shared.clock.set_offset(change.offset)
        if change.advance is not None:
            self._shared.clock.advance(change.advance)
        await self._shared.settle()
        return answer(self._clock())

    async def get_switches(self, request: web.Request) -> web.Response:
        return answer(self._switches(request).model_dump(mode="json", by_alias=True))

    async def set_switches(self, request: web.Request) -> web.Response:
        """All of the given positions, or none."""
        switches = self._switches(request)
        changes = await read_json(request)
        if not isinstance(changes, dict):
            raise refused(400, "an object of switches is expected")
        names = {info.alias or name: name for name, info in type(switches).model_fields.items()}
        if unknown := sorted(set(changes) - set(names)):
            raise refused(400, f"no such switch: {', '.join(unknown)}")
        try:
            wanted = type(switches).model_validate({**switches.model_dump(by_alias=True), **changes})
        except ValidationError as error:
            raise refused(400, _reasons(error)) from None
        for alias in changes:
            setattr(switches, names[alias], getattr(wanted, names[alias]))
        return await self.get_switches(request)

    async def exchanges(self, request: web.Request) -> web.Response:
        text = request.query.get("since", "0")
        if not text.isdecimal():
            raise refused(400, "since: a number is expected")
        recorder = self._shared.recorder
        return answer({"next": recorder.count, "exchanges": recorder.since(int(text))})

    async def get_faults(self, request: web.Request) -> web.Response:
        return answer({"faults": self._shared.faults.listing()})

    async def add_fault(self, request: web.Request) -> web.Response:
        return answer({"id": self._shared.faults.add(await read_model(request, Fault))}, 201)

    async def clear_faults(self, request: web.Request) -> web.Response:
        self._shared.faults.clear()
        return answer({})

    def _clock(self) -> dict[str, float]:
        return {"now": self._shared.clock.now(), "offset": self._shared.clock.offset}

    def _switches(self, request: web.Request) -> BaseModel:
        name = request.match_info["emulator"]
        if name not in self._shared.states:
            raise refused(404, f"no emulator {name}")
        return self._shared.states[name].switches


def switch_table(switches: type[BaseModel]) -> str:
    """The rows of a README's table of switches, from the models, so that a test can compare the two."""
    properties = switches.model_json_schema(by_alias=True)["properties"]
    return "\n".join(
        f"| `{name}` | {_positions(schema)} | `{_plain(schema['default'])}` | {schema['description']} |"
        for name, schema in properties.items()
    )


def _positions(schema: dict[str, Any]) -> str:
    if "anyOf" in schema:
        return ", ".join(_positions(option) for option in schema["anyOf"])
    if "enum" in schema:
        return ", ".join(f"`{_plain(value)}`" for value in schema["enum"])
    if "const" in schema:
        return f"`{_plain(schema['const'])}`"
    if schema.get("type") == "array":
        return "list of " + _positions(schema["items"])
    return {"null": "`null`", "boolean": "`true`, `false`"}.get(schema["type"], str(schema["type"]))


def _plain(value: Any) -> str:
    names: dict[Any, str] = {None: "null", True: "true", False: "false"}
    return names[value] if value is None or isinstance(value, bool) else str(value)


def _reasons(error: ValidationError) -> str:
    return "; ".join(f"{'.'.join(map(str, e['loc']))}: {e['msg']}" for e in error.errors())


def _render(request: web.Request, status: int, reason: str) -> ServiceError:
    return refused(status, f"{request.method} {request.path}: {reason}")
