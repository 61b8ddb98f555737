"""The budget of tokens of one refresh token."""

from __future__ import annotations

from crmflow.zoho.budget import Budget


def spent(*instants: float) -> Budget:
    return Budget(instants)


def test_ten_tokens_in_ten_minutes_and_no_more() -> None:
    budget = Budget()
    for second in range(10):
        assert budget.wait(second) == 0
        budget.spend(second)
    assert budget.wait(10) == 590.0
    assert budget.wait(599.9) > 0
    assert budget.wait(600.0) == 0


def test_fifteen_tokens_in_the_life_of_one() -> None:
    """The sixteenth would end the oldest, which Platform may be using."""
    budget = spent(*(240.0 * number for number in range(15)))
    assert budget.wait(3500.0) == 100.0
    assert budget.wait(3600.0) == 0


def test_it_goes_on_where_an_earlier_process_stopped() -> None:
    budget = Budget()
    for second in range(9):
        kept = budget.spend(second)
    assert Budget(kept).wait(9) == 0
    assert Budget(Budget(kept).spend(9)).wait(10) == 590.0


def test_what_no_longer_matters_is_forgotten() -> None:
    assert spent(0.0, 1.0).spend(4000.0) == (4000.0,)


def test_requests_of_the_future_are_a_clock_that_was_set_back() -> None:
    assert spent(*[10_000.0] * 20).wait(100.0) == 0
