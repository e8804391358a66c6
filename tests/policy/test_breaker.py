"""When a breaker opens, what it lets through then, and how it closes again."""

import math
from collections.abc import Callable

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from mcp_proxy.breaker import Asking, Breaker, Limits, State
from tests.policy.proposers import Clock, let_through

LIMITS = Limits(slow_after=5.0)


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def breaker(clock: Clock) -> Breaker:
    return Breaker(LIMITS, clock)


def fail(breaker: Breaker, times: int = LIMITS.failures) -> None:
    for _ in range(times):
        breaker.failed(let_through(breaker), "it broke down")


def answer(breaker: Breaker, clock: Clock, seconds: float = 0.0) -> Asking:
    asking = let_through(breaker)
    clock.now += seconds
    breaker.answered(asking)
    return asking


def let_pass(breaker: Breaker, clock: Clock) -> None:
    clock.now += breaker.condition.pause


def test_it_begins_closed_and_lets_everybody_through(breaker: Breaker) -> None:
    assert all(breaker.ask() for _ in range(100))
    assert (breaker.condition.state, breaker.condition.why) == (State.CLOSED, "")
    assert str(breaker.condition) == "is asked"


def test_failures_in_a_row_open_it_and_it_says_why(breaker: Breaker) -> None:
    fail(breaker, LIMITS.failures - 1)
    assert breaker.condition.state is State.CLOSED
    fail(breaker, 1)
    assert breaker.condition.state is State.OPEN
    assert breaker.ask() is None
    assert (
        str(breaker.condition) == "is not asked for another 1 s: 3 failures in a row, the last: it broke down"
    )


def test_an_answer_in_between_is_no_row(breaker: Breaker, clock: Clock) -> None:
    for _ in range(10):
        fail(breaker, LIMITS.failures - 1)
        answer(breaker, clock)
    assert breaker.condition.state is State.CLOSED


def test_slow_answers_open_it(breaker: Breaker, clock: Clock) -> None:
    for seconds in (0.1, 6.0, 0.1, 6.0, 0.1, 6.0, 0.1):
        answer(breaker, clock, seconds)
    assert breaker.condition.state is State.CLOSED
    answer(breaker, clock, 6.0)
    assert breaker.condition.state is State.OPEN
    assert breaker.condition.why == "4 of its latest 8 answers took over 5 s"


def test_a_quick_answer_never_opens_it(breaker: Breaker, clock: Clock) -> None:
    for _ in range(LIMITS.least - 1):
        answer(breaker, clock, 6.0)
    answer(breaker, clock)
    assert breaker.condition.state is State.CLOSED
    answer(breaker, clock, 6.0)
    assert breaker.condition.why == "8 of its latest 9 answers took over 5 s"


def test_few_slow_answers_among_many_do_not(breaker: Breaker, clock: Clock) -> None:
    for number in range(100):
        answer(breaker, clock, 6.0 if number % 3 == 2 else 0.1)
    assert breaker.condition.state is State.CLOSED


def test_bad_answers_open_it(breaker: Breaker, clock: Clock) -> None:
    for _ in range(LIMITS.least):
        breaker.judged(good=False, asking=answer(breaker, clock))
    assert breaker.condition.state is State.OPEN
    assert breaker.condition.why == "8 of its latest 8 answers were invalid or turned out wrong"


def test_after_bad_answers_the_next_that_is_judged_decides(breaker: Breaker, clock: Clock) -> None:
    for _ in range(LIMITS.least):
        breaker.judged(good=False)
    let_pass(breaker, clock)
    trial = answer(breaker, clock)
    assert breaker.condition.state is State.CLOSED
    breaker.judged(good=False, asking=trial)
    assert (breaker.condition.state, breaker.condition.why) == (State.OPEN, "its next answer was bad too")
    let_pass(breaker, clock)
    breaker.judged(good=True, asking=answer(breaker, clock))
    breaker.judged(good=False, asking=answer(breaker, clock))
    assert breaker.condition.state is State.CLOSED


def test_what_users_say_of_old_answers_decides_no_probation(breaker: Breaker, clock: Clock) -> None:
    for _ in range(LIMITS.least):
        breaker.judged(good=False)
    let_pass(breaker, clock)
    answer(breaker, clock)
    breaker.judged(good=False)
    assert breaker.condition.state is State.CLOSED


def test_once_the_pause_is_over_exactly_one_of_a_hundred_is_let_through(
    breaker: Breaker, clock: Clock
) -> None:
    fail(breaker)
    let_pass(breaker, clock)
    assert breaker.condition.state is State.HALF_OPEN
    assert str(breaker.condition).startswith("is asked by one at a time: 3 failures")
    (trial,) = [asking for _ in range(100) if (asking := breaker.ask())]
    breaker.answered(trial)
    assert breaker.condition.state is State.CLOSED
    assert all(breaker.ask() for _ in range(100))


ENDS: list[tuple[Callable[[Breaker, Asking], None], str]] = [
    (
        lambda breaker, trial: breaker.failed(trial, "it broke down"),
        "on trial it failed again: it broke down",
    ),
    (Breaker.answered, "on trial it took over 5 s"),
    (Breaker.withdrawn, "on trial it gave no answer in 5 s"),
]


@pytest.mark.parametrize(("settle", "why"), ENDS)
def test_a_trial_that_ends_badly_opens_it_again(
    breaker: Breaker, clock: Clock, settle: Callable[[Breaker, Asking], None], why: str
) -> None:
    fail(breaker)
    let_pass(breaker, clock)
    trial = let_through(breaker)
    clock.now += 6.0
    settle(breaker, trial)
    assert (breaker.condition.state, breaker.condition.why) == (State.OPEN, why)


def test_a_trial_that_is_taken_back_makes_room_for_the_next(breaker: Breaker, clock: Clock) -> None:
    fail(breaker)
    let_pass(breaker, clock)
    breaker.withdrawn(let_through(breaker))
    assert breaker.condition.state is State.HALF_OPEN
    answer(breaker, clock)
    assert breaker.condition.state is State.CLOSED


def test_patience_that_ran_out_counts_as_a_slow_answer(breaker: Breaker, clock: Clock) -> None:
    for _ in range(LIMITS.least):
        asking = let_through(breaker)
        clock.now += 6.0
        breaker.withdrawn(asking)
    assert breaker.condition.why == "8 of its latest 8 answers took over 5 s"


def test_pauses_grow_at_random_and_stay_bounded(breaker: Breaker, clock: Clock) -> None:
    fail(breaker)
    pauses: list[float] = []
    for _ in range(20):
        pauses.append(breaker.condition.pause)
        let_pass(breaker, clock)
        fail(breaker, 1)
    assert all(0.25 * 2**turn <= pause <= 0.5 * 2**turn for turn, pause in enumerate(pauses[:7]))
    assert all(30 <= pause <= 60 for pause in pauses[7:])
    assert len(set(pauses)) == len(pauses)


def test_pauses_begin_anew_after_answers_that_were_well(breaker: Breaker, clock: Clock) -> None:
    fail(breaker)
    for _ in range(10):
        let_pass(breaker, clock)
        fail(breaker, 1)
    let_pass(breaker, clock)
    for _ in range(LIMITS.least + 1):
        answer(breaker, clock)
    fail(breaker)
    assert breaker.condition.pause <= 0.5


@pytest.mark.parametrize(("asked_for", "least"), [(30.0, 30.0), (1e9, 60.0), (math.inf, 60.0), (0.0, 0.0)])
def test_who_asks_to_be_left_alone_is_for_as_long_as_is_reasonable(
    breaker: Breaker, asked_for: float, least: float
) -> None:
    breaker.failed(let_through(breaker), "its rate limit was reached", asked_for)
    assert (breaker.condition.state is State.OPEN) == (asked_for > 0)
    assert least <= breaker.condition.pause <= 60


def test_what_was_asked_before_it_opened_says_nothing_of_now(breaker: Breaker, clock: Clock) -> None:
    before = [let_through(breaker) for _ in range(100)]
    fail(breaker)
    let_pass(breaker, clock)
    trial = let_through(breaker)
    for asking in before[:50]:
        breaker.failed(asking, "it broke down")
    breaker.answered(trial)
    for asking in before[50:]:
        breaker.failed(asking, "it broke down")
        breaker.judged(good=False, asking=asking)
    assert breaker.condition.state is State.CLOSED


def test_a_question_is_settled_once(breaker: Breaker) -> None:
    asking = let_through(breaker)
    for _ in range(10):
        breaker.failed(asking, "it broke down")
    assert breaker.condition.state is State.CLOSED


class Machine(RuleBasedStateMachine):
    """Any number of questions at once, settled in any order and any way, while time passes."""

    def __init__(self) -> None:
        super().__init__()
        self.clock = Clock()
        self.breaker = Breaker(LIMITS, self.clock)
        self.open: list[Asking] = []
        self.trial: Asking | None = None
        self.answered: list[Asking] = []

    @rule()
    def ask(self) -> None:
        state = self.breaker.condition.state
        asking = self.breaker.ask()
        assert (asking is not None) == (
            state is State.CLOSED or (state is State.HALF_OPEN and not self.trial)
        )
        if asking:
            self.open.append(asking)
            self.trial = asking if state is State.HALF_OPEN else self.trial

    def _settled(self, data: st.DataObject) -> tuple[Asking, bool]:
        """A question that is to be settled now, and whether it is the trial."""
        asking = self.open.pop(data.draw(st.integers(0, len(self.open) - 1)))
        was_trial = asking is self.trial
        self.trial = None if was_trial else self.trial
        return asking, was_trial

    def _is_quick(self, asking: Asking) -> bool:
        return self.clock.now - asking.began < LIMITS.slow_after

    @precondition(lambda self: self.open)
    @rule(data=st.data())
    def answer(self, data: st.DataObject) -> None:
        asking, was_trial = self._settled(data)
        quick = self._is_quick(asking)
        self.breaker.answered(asking)
        self.answered.append(asking)
        if was_trial:
            assert self.breaker.condition.state is (State.CLOSED if quick else State.OPEN)

    @precondition(lambda self: self.open)
    @rule(data=st.data(), retry_after=st.none() | st.floats(allow_nan=True))
    def fail(self, data: st.DataObject, retry_after: float | None) -> None:
        asking, was_trial = self._settled(data)
        self.breaker.failed(asking, "it broke down", retry_after)
        if was_trial:
            assert self.breaker.condition.state is State.OPEN

    @precondition(lambda self: self.open)
    @rule(data=st.data())
    def withdraw(self, data: st.DataObject) -> None:
        asking, was_trial = self._settled(data)
        quick = self._is_quick(asking)
        self.breaker.withdrawn(asking)
        if was_trial:
            assert self.breaker.condition.state is (State.HALF_OPEN if quick else State.OPEN)

    @precondition(lambda self: self.answered)
    @rule(data=st.data(), good=st.booleans())
    def judge(self, data: st.DataObject, good: bool) -> None:
        self.breaker.judged(good=good, asking=data.draw(st.sampled_from([None, *self.answered])))

    @rule(seconds=st.floats(0, 100))
    def wait(self, seconds: float) -> None:
        self.clock.now += seconds

    @invariant()
    def it_says_why_and_for_how_long(self) -> None:
        condition = self.breaker.condition
        assert (condition.why == "") == (condition.state is State.CLOSED)
        assert (condition.pause > 0) == (condition.state is State.OPEN)
        assert condition.pause <= LIMITS.longest_pause + 1e-9  # the clock is a float
        assert str(condition)

    def teardown(self) -> None:
        """Whatever happened, it recovers: the others give up, the pause passes, and one good answer is enough."""
        for asking in self.open:
            self.breaker.withdrawn(asking)
        self.clock.now += LIMITS.longest_pause + 1
        self.breaker.answered(let_through(self.breaker))
        assert self.breaker.condition.state is State.CLOSED


TestAnyOrder = Machine.TestCase
TestAnyOrder.settings = settings(
    max_examples=30, stateful_step_count=30, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
