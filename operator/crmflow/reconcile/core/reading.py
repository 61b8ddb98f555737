"""Reading resources that this version may not understand: after a rollback, or under a definition whose
schema somebody has loosened, a field may hold what only a newer version knows.

Such a resource is told before anything is done for it. What can be read of it still serves its deletion and
whoever refers to it; what can't be read of a spec is never taken for left out, since a default may be the
very opposite, such as for ``deletionPolicy``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from types import UnionType, new_class
from typing import Annotated, Any, Generic, TypeVar, Union, cast, get_args, get_origin

from pydantic import TypeAdapter, ValidationError
from pydantic_core import ErrorDetails

from crmflow.api.base import Model
from crmflow.observability.redaction import sanitize
from crmflow.reconcile.core.outcome import Outcome, PassEndedError, stalled
from crmflow.sentences import some

M = TypeVar("M", bound=Model)
FIELDS_SHOWN = 3
_NOTHING_DONE = "Nothing is read or changed for it in Zoho CRM and Adobe Experience Platform"


class NotUnderstoodError(PassEndedError):
    """A pass needs a field of the spec that this version can't read."""

    def __init__(self, field: str) -> None:
        text = f"This version of the operator can't read spec.{field}, and does not guess what it means."
        super().__init__(
            stalled("SpecNotUnderstood", f"{text} Set it to a value of this version, and this goes on.")
        )


@dataclass(frozen=True)
class Reading(Generic[M]):
    """What a version understands of a spec or a status."""

    value: M
    problems: tuple[str, ...] = ()
    """The fields that can't be read, each with what is wrong with it."""
    lost: frozenset[str] = frozenset()
    """The outermost fields that ``value`` lacks because of that, by their names on the wire."""


@dataclass(frozen=True)
class Understanding:
    """A resource as far as it can be read."""

    spec: Reading[Any]
    status: Reading[Any]

    @property
    def unread(self) -> frozenset[str]:
        """The fields of the status that can't be read, and that no pass tells anew."""
        found: frozenset[str] = self.status.lost - self.status.value.found_anew
        return found

    def obstacle(self) -> Outcome | None:
        """Why nothing may be done for the resource; None if everything that matters could be read. What a
        pass finds out anew is not missed in a status.
        """
        if self.spec.problems:
            return stalled(
                "SpecNotUnderstood",
                f"This version of the operator can't read {_named(self.spec.problems)}. {_NOTHING_DONE}. "
                "Correct the field, or run a version of the operator that knows the value.",
            )
        if self.unread:
            return self._unread_status(f"what it records might be made a second time. {_NOTHING_DONE}")
        return None

    def obstacle_to_deletion(self) -> Outcome | None:
        """Why the resource can't go: nobody could tell what is to go with it. The spec need not be read."""
        if self.status.lost & self.status.value.remote_ids:
            return self._unread_status("what it records would be left behind")
        return None

    def _unread_status(self, why: str) -> Outcome:
        # Whoever mends a status changes no generation, so nothing tells.
        return stalled(
            "SpecNotUnderstood",
            f"This version of the operator can't read {_named(self.status.problems)}, and {why}. Run the "
            "version of the operator that wrote it, or correct the field with kubectl edit "
            "--subresource=status.",
            silent=True,
        )


def understand(spec: type[Model], status: type[Model], obj: Mapping[str, Any]) -> Understanding:
    """Read an object as the API server gives it."""
    return Understanding(read_spec(spec, obj), read_status(status, obj))


def read_spec(model: type[M], obj: Mapping[str, Any]) -> Reading[M]:
    """The spec of an object. Asking for what could not be read of it raises NotUnderstoodError."""
    reading, unread = _read(model, "spec", obj.get("spec"))
    if not reading.problems:
        return reading
    values = {name: getattr(reading.value, name) for name in model.model_fields if name not in unread}
    value = _with_holes(model).model_construct(**values)
    for name in unread:
        value.__dict__.pop(name, None)  # a default that model_construct has given
    return Reading(value, reading.problems, reading.lost)


def read_status(model: type[M], obj: Mapping[str, Any]) -> Reading[M]:
    """The status of an object, without what could not be read of it."""
    return _read(model, "status", obj.get("status"))[0]


def at(raw: Any, *path: str) -> Any:
    """The value at ``path`` in what nobody has validated; None if there is none."""
    for name in path:
        raw = raw.get(name) if isinstance(raw, Mapping) else None
    return raw


def mapping(raw: Any) -> Mapping[str, Any]:
    """What nobody has validated, as the object that it should be; an empty one if it is none."""
    return raw if isinstance(raw, Mapping) else {}


def text_at(raw: Any, *path: str) -> str | None:
    """The same for a text; None if there is none, or anything else."""
    value = at(raw, *path)
    return value if isinstance(value, str) and value else None


def instant(text: str | None) -> datetime | None:
    """An instant as Kubernetes writes it; None if it can't be read."""
    try:
        when = datetime.fromisoformat(text or "")
    except ValueError:
        return None
    return when if when.tzinfo is not None else when.replace(tzinfo=UTC)


def _read(model: type[M], part: str, raw: Any) -> tuple[Reading[M], frozenset[str]]:
    """The reading, and the names here of the fields that it lacks."""
    raw = {} if raw is None else raw
    try:
        return Reading(model.model_validate(raw)), frozenset()
    except ValidationError as error:
        problems = tuple(_problem(part, details) for details in error.errors(include_input=False))
    value, unread = _salvage(model, mapping(raw))
    if not isinstance(raw, Mapping):
        unread = frozenset(model.model_fields)
    lost = frozenset(_on_the_wire(model, name) for name in unread)
    return Reading(value, problems, lost), unread


def _salvage(model: type[M], raw: Mapping[str, Any]) -> tuple[M, frozenset[str]]:
    """What can be read, and the fields that can't be. A part that lacks what it needs can't be read."""
    values: dict[str, Any] = {}
    unread = set()
    for name, field in model.model_fields.items():
        wire = _on_the_wire(model, name)
        if wire not in raw:
            unread |= {name} if field.is_required() else set()
            continue
        try:
            values[name] = _adapter(model, name).validate_python(raw[wire])
        except ValidationError:
            inner = _model_in(field.annotation)
            if inner is None or not isinstance(raw[wire], Mapping):
                unread.add(name)
                continue
            values[name], missing = _salvage(inner, raw[wire])
            if any(inner.model_fields[part].is_required() for part in missing):
                del values[name]
                unread.add(name)
    # A field without a default stays away: reading it is an AttributeError.
    return cast("M", model.model_construct(**values)), frozenset(unread)


@cache
def _adapter(model: type[Model], name: str) -> TypeAdapter[Any]:
    field = model.model_fields[name]
    annotation: Any = field.annotation
    return TypeAdapter(Annotated[annotation, *field.metadata] if field.metadata else annotation)


@cache
def _with_holes(model: type[M]) -> type[M]:
    def missing(_: M, name: str) -> Any:
        if name in model.model_fields:
            raise NotUnderstoodError(_on_the_wire(model, name))
        raise AttributeError(name)

    members = {"__getattr__": missing, "__module__": model.__module__}
    return cast("type[M]", new_class(model.__name__, (model,), {}, lambda body: body.update(members)))


def _on_the_wire(model: type[Model], name: str) -> str:
    return model.model_fields[name].alias or name


def _model_in(annotation: Any) -> type[Model] | None:
    """The model that a field holds, be it an optional one."""
    if isinstance(annotation, type) and issubclass(annotation, Model):
        return annotation
    choices: Sequence[Any] = get_args(annotation) if get_origin(annotation) in (Union, UnionType) else ()
    return next((found for choice in choices if (found := _model_in(choice))), None)


def _problem(part: str, details: ErrorDetails) -> str:
    steps = (f"[{step}]" if isinstance(step, int) else f".{step}" for step in details["loc"])
    name, text = part + "".join(steps), details["msg"]
    if details["type"] in ("model_type", "model_attributes_type"):  # which name a class of ours
        text = "input should be an object"
    return sanitize(f"{name} ({text[:1].lower()}{text[1:]})")


def _named(problems: Sequence[str]) -> str:
    return some(problems, FIELDS_SHOWN)
