"""The one exception of remote calls."""

from __future__ import annotations

from crmflow.http.errors import ErrorClass, RemoteError


def test_the_same_but_for_some_parts_keeps_all_the_others() -> None:
    error = RemoteError(
        "Zoho CRM",
        "organization",
        ErrorClass.TERMINAL,
        "SourceRefused",
        "no",
        advice="Ask.",
        status=400,
        code="NO",
        request_id="r-1",
        retry_after=5.0,
        maybe_applied=True,
        cure_is_silent=True,
    )
    other = error.but(advice="Do not ask.")
    assert {**vars(error), "advice": "Do not ask."} == vars(other)
    assert error.advice == "Ask."
    assert str(other) == str(error)
