"""Each line of the sweeper's grammar gives the distribution that hydra-optuna-sweeper 1.3 makes from it.

The expected distributions were compared with the sweeper's, with Optuna 2's names replaced by their successors. They
differ in two lines only: the sweeper has no null in `choice(...)`, and accepts infinite ranges.
"""

from typing import Any

import optuna
import pytest
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution

from sidewinder import SidewinderError
from sidewinder.config.composition import compose_study
from sidewinder.config.distributions import contains, grid_values
from sidewinder.config.parameter_values import SearchSpaceError, parse_value
from sidewinder.config.search_space import add_conditions, from_deprecated, parse
from sidewinder.study.view import suggest

KEY = "agent.gamma"

DISTRIBUTIONS: dict[str, BaseDistribution] = {
    # choice
    "choice(relu, tanh)": CategoricalDistribution(["relu", "tanh"]),
    "choice('a b', \"c\")": CategoricalDistribution(["a b", "c"]),
    "choice(a b, c)": CategoricalDistribution(["a b", "c"]),
    r"choice('it\'s', b)": CategoricalDistribution(["it's", "b"]),
    r"choice(a\,b, c)": CategoricalDistribution(["a,b", "c"]),
    "choice(1, 2)": CategoricalDistribution([1, 2]),
    "choice(0.1, 1e-3)": CategoricalDistribution([0.1, 0.001]),
    "choice('1', 1)": CategoricalDistribution(["1", 1]),
    "choice(true, False)": CategoricalDistribution([True, False]),
    "choice('true', true)": CategoricalDistribution(["true", True]),
    "choice(null, normal)": CategoricalDistribution(["null", "normal"]),
    "choice([64,64], [32])": CategoricalDistribution(["[64,64]", "[32]"]),
    "choice({pi:[8]}, {pi:[16]})": CategoricalDistribution(["{pi:[8]}", "{pi:[16]}"]),
    "choice(7)": CategoricalDistribution([7]),
    # the simple form
    "1,2,3": CategoricalDistribution([1, 2, 3]),
    "relu, tanh": CategoricalDistribution(["relu", "tanh"]),
    "true,false": CategoricalDistribution([True, False]),
    "null,1": CategoricalDistribution(["null", 1]),
    "[1,2],[3]": CategoricalDistribution(["[1,2]", "[3]"]),
    "'a','b'": CategoricalDistribution(["'a'", "'b'"]),
    # range: includes its stop
    "range(3)": IntDistribution(0, 3),
    "range(1,3)": IntDistribution(1, 3),
    "range(1,7,2)": IntDistribution(1, 7, step=2),
    "range(start=2, stop=10, step=4)": IntDistribution(2, 10, step=4),
    "range(0, 1, step=0.1)": FloatDistribution(0.0, 1.0, step=0.1),
    "range(0.0, 1.0, 0.25)": FloatDistribution(0.0, 1.0, step=0.25),
    "range(0.5, 2.5)": FloatDistribution(0.5, 2.5, step=1.0),
    "int(range(0, 10, 2.5))": IntDistribution(0, 10, step=2),
    "float(range(1, 4))": FloatDistribution(1.0, 4.0, step=1.0),
    "tag(log, range(1, 4))": IntDistribution(1, 4),
    # interval: a float one unless cast
    "interval(0, 1)": FloatDistribution(0.0, 1.0),
    "interval(1e-5, 1)": FloatDistribution(1e-5, 1.0),
    "interval(start=1, end=2.5)": FloatDistribution(1.0, 2.5),
    "int(interval(1, 5))": IntDistribution(1, 5),
    "int(interval(1.7, 5.2))": IntDistribution(1, 5),
    "float(interval(1, 5))": FloatDistribution(1.0, 5.0),
    "tag(log, interval(1e-5, 1e-2))": FloatDistribution(1e-5, 1e-2, log=True),
    "tag(log, interval(1, 100))": FloatDistribution(1.0, 100.0, log=True),
    "tag(log, int(interval(1, 100)))": IntDistribution(1, 100, log=True),
    "int(tag(log, interval(1, 100)))": IntDistribution(1, 100, log=True),
    # other tags, and casts of choices
    "tag(mine, interval(0, 1))": FloatDistribution(0.0, 1.0),
    "tag(log, mine, interval(1, 10))": FloatDistribution(1.0, 10.0, log=True),
    "tag(mine, choice(a, b))": CategoricalDistribution(["a", "b"]),
    "int(choice(1.5, 2.5))": CategoricalDistribution([1, 2]),
    "float(1, 2)": CategoricalDistribution([1.0, 2.0]),
    "str(choice(1, 2))": CategoricalDistribution(["1", "2"]),
    "bool(choice(1, 0))": CategoricalDistribution([True, False]),
    # order
    "sort(choice(3, 1, 2))": CategoricalDistribution([1, 2, 3]),
    "sort(3, 1, 2)": CategoricalDistribution([1, 2, 3]),
    "sort(choice(a, b), reverse=true)": CategoricalDistribution(["b", "a"]),
}


def exact(distribution: BaseDistribution) -> tuple[BaseDistribution, list[type]]:
    """Return a distribution and the types of its choices, since 1, 1.0 and True are equal."""
    choices = distribution.choices if isinstance(distribution, CategoricalDistribution) else ()
    return distribution, [type(choice) for choice in choices]


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize(("text", "expected"), DISTRIBUTIONS.items())
def test_grammar(text: str, expected: BaseDistribution) -> None:
    space = parse({KEY: text})
    assert list(space.distributions) == [KEY]
    assert exact(space.distributions[KEY]) == exact(expected)
    assert not space.fixed
    assert not space.deleted


@pytest.mark.filterwarnings("ignore:The distribution is specified by")
@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("range(1, 8, 3)", IntDistribution(1, 7, step=3)),
        ("range(0, 1, 0.3)", FloatDistribution(0.0, 0.9, step=0.3)),
        ("float(range(1, 8, 3))", FloatDistribution(1.0, 7.0, step=3.0)),
    ],
)
def test_a_range_that_its_step_does_not_divide_ends_earlier(text: str, expected: BaseDistribution) -> None:
    assert parse({KEY: text}).distributions == {KEY: expected}


@pytest.mark.parametrize("text", ["shuffle(choice(1, 2, 3))", "shuffle(range(1, 4))", "shuffle(1, 2, 3)"])
def test_shuffle_is_a_choice_of_all(text: str) -> None:
    first, second = (parse({KEY: text}).distributions[KEY] for _ in range(2))
    assert isinstance(first, CategoricalDistribution)
    assert set(first.choices) == {1, 2, 3}  # a shuffled range excludes its stop, as Python's does
    assert first == second


@pytest.mark.parametrize(
    ("raw", "value"),
    [
        ("relu", "relu"),
        ("'choice(1, 2)'", "choice(1, 2)"),
        ("5", 5),
        ("1e5", 1e5),
        ("null", None),
        ("[1, [a, null]]", [1, ["a", None]]),
        ("{a: 1}", {"a": 1}),
        (5, 5),
        (1e-5, 1e-5),
        (True, True),
        (None, None),
        ([1, None, "a, b", True], [1, None, "a, b", True]),
        ({"a": {"b": None}}, {"a": {"b": None}}),
    ],
)
def test_plain_values_are_fixed(raw: Any, value: Any) -> None:
    space = parse({KEY: raw})
    assert repr(space.fixed) == repr({KEY: value})
    assert not space.distributions


def test_keys_keep_their_order_and_their_plus() -> None:
    space = parse({"b.x": "interval(0, 1)", "+a.new": "choice(1, 2)", "+a.fixed": 5, "a.y": "range(3)"})
    assert list(space.distributions) == ["b.x", "+a.new", "a.y"]
    assert space.fixed == {"+a.fixed": 5}


@pytest.mark.parametrize("raw", [None, "interval(0, 1)"])
def test_a_tilde_deletes_the_key_from_the_search_too(raw: str | None) -> None:
    space = parse({"a.x": "choice(1, 2)", "a.y": 5, "a.z": "choice(1, 2)", "~a.x": raw, "~a.y": raw})
    assert list(space.distributions) == ["a.z"]
    assert not space.fixed
    assert space.deleted == ["a.x", "a.y"]


@pytest.mark.parametrize(
    ("raw", "reason"),
    [
        ("choice(0.9", "no viable alternative"),
        ("choice()", "empty choice"),
        ("choice(1, 2,)", "no viable alternative"),
        ("interval(0.1)", "missing a required argument"),
        ("interval(a, b)", "mismatch type argument"),
        ("interval(5, 1)", "low <= high"),
        ("interval(1, inf)", "finite"),
        ("choice(nan, 1)", "finite"),
        ("tag(log, interval(0, 1))", "low > 0"),
        ("range(5, 1)", "low <= high"),
        ("range(10, 1, -3)", "low <= high"),
        ("range(1, 3, 0)", "step > 0"),
        ("uniform(0, 1)", "Unknown function 'uniform'"),
        ("str(range(1, 4))", "int or float"),
        ("glob(*)", "glob"),
        ("it's", "token recognition error"),
        ("two\nlines", "token recognition error"),
        ({"gamma": "interval(0, 1)"}, "agent.gamma.gamma"),
    ],
)
def test_malformed(raw: Any, reason: str) -> None:
    with pytest.raises(SearchSpaceError) as caught:
        parse({"agent.tau": "interval(0, 1)", KEY: raw})
    message = str(caught.value)
    assert caught.value.key == KEY
    assert message.startswith(f"found {str(raw)!r} (")
    assert reason in message
    assert ", accepted: choice(a,b,...), range(" in message
    assert "\n" not in message


def test_a_key_that_is_no_text() -> None:
    with pytest.raises(SearchSpaceError, match=r"found 'choice\(1,2\)'") as caught:
        parse({1: "choice(1,2)"})  # type: ignore[dict-item]
    assert caught.value.key == "1"


@pytest.mark.parametrize(
    ("optuna_value", "config_value"),
    [
        (1, 1),
        (0.1, 0.1),
        (1e-7, 1e-7),
        (True, True),
        ("null", None),
        ("relu", "relu"),
        ("a b", "a b"),
        ("[64,64]", [64, 64]),
        ("[1,episode]", [1, "episode"]),
        ("{pi:[8]}", {"pi": [8]}),
        ("it's", "it's"),
        ("a,b", "a,b"),
        ("'a'", "a"),
    ],
)
def test_parse_value(optuna_value: Any, config_value: Any) -> None:
    assert repr(parse_value(KEY, optuna_value)) == repr(config_value)
    assert repr(parse_value(f"+{KEY}", optuna_value)) == repr(config_value)


@pytest.mark.parametrize("text", DISTRIBUTIONS)
def test_every_choice_is_a_config_value(text: str) -> None:
    distribution = parse({KEY: text}).distributions[KEY]
    if isinstance(distribution, CategoricalDistribution):
        for choice in distribution.choices:
            assert isinstance(parse_value(KEY, choice), str | int | float | list | dict | None)


def test_grid_values() -> None:
    assert grid_values(CategoricalDistribution([1, "a", None])) == [1, "a", None]
    assert grid_values(IntDistribution(1, 3)) == [1, 2, 3]
    assert grid_values(IntDistribution(1, 7, step=3)) == [1, 4, 7]
    assert grid_values(FloatDistribution(0.0, 1.0, step=0.1)) == [i / 10 for i in range(11)]


@pytest.mark.filterwarnings("ignore::optuna.exceptions.ExperimentalWarning")
@pytest.mark.parametrize(
    ("text", "values"),
    [
        ("range(0.1, 0.3, 0.1)", [0.1, 0.2, 0.3]),
        ("range(0.1, 0.7, 0.1)", [0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7]),
        ("range(0.001, 0.01, 0.001)", [i / 1000 for i in range(1, 11)]),
        ("range(-0.3, 0.3, 0.1)", [-0.3, -0.2, -0.1, 0.0, 0.1, 0.2, 0.3]),
        ("range(1e-5, 3e-5, 1e-5)", [1e-5, 2e-5, 3e-5]),
        ("range(0.1, 1, 0.4)", [0.1, 0.5, 0.9]),
    ],
)
def test_a_grid_has_the_decimals_that_are_written(text: str, values: list[float]) -> None:
    distribution = parse({KEY: text}).distributions[KEY]
    assert grid_values(distribution) == values
    assert all(contains(distribution, value) for value in values)
    study = optuna.create_study(sampler=optuna.samplers.BruteForceSampler(seed=0))
    study.optimize(lambda trial: suggest(trial, KEY, distribution), n_trials=20)
    assert sorted(trial.params[KEY] for trial in study.trials) == values


@pytest.mark.parametrize(
    "distribution",
    [FloatDistribution(0.0, 1.0), FloatDistribution(0.1, 1.0, log=True), IntDistribution(1, 8, log=True)],
)
def test_no_grid_of_a_continuous_distribution(distribution: BaseDistribution) -> None:
    with pytest.raises(ValueError, match="found"):
        grid_values(distribution)


@pytest.mark.parametrize(
    ("entry", "expected"),
    [
        (
            {"type": "categorical", "choices": ["a", True, 1.5, "x y", "it's, ok", "b,c"]},
            CategoricalDistribution(["a", True, 1.5, "x y", "it's, ok", "b,c"]),
        ),
        ({"type": "int", "low": 1, "high": 10}, IntDistribution(1, 10)),
        ({"type": "int", "low": 1, "high": 10, "step": 3}, IntDistribution(1, 10, step=3)),
        ({"type": "int", "low": 1, "high": 10, "log": True}, IntDistribution(1, 10, log=True)),
        ({"type": "int", "low": 1.5, "high": 5.5, "step": 1.5}, IntDistribution(1, 5)),
        ({"type": "float", "low": 1, "high": 10}, FloatDistribution(1.0, 10.0)),
        ({"type": "float", "low": 1e-5, "high": 1, "log": True}, FloatDistribution(1e-5, 1.0, log=True)),
        ({"type": "float", "low": 0, "high": 1, "step": 0.1}, FloatDistribution(0.0, 1.0, step=0.1)),
        ({"type": "float", "low": 1, "high": 5, "step": 2}, FloatDistribution(1.0, 5.0, step=2.0)),
        ({"type": "float", "low": 1, "high": 5, "step": 2, "log": True}, FloatDistribution(1.0, 5.0, log=True)),
    ],
)
def test_deprecated_form(entry: dict[str, Any], expected: BaseDistribution) -> None:
    distributions = parse(from_deprecated({KEY: entry})).distributions
    assert {key: exact(distribution) for key, distribution in distributions.items()} == {KEY: exact(expected)}


@pytest.mark.parametrize(
    ("entry", "reason"),
    [
        ({"type": "float", "low": 0}, "'high' is missing"),
        ({"type": "categorical"}, "'choices' is missing"),
        ({"type": "uniform", "low": 0, "high": 1}, "type must be int, float or categorical"),
        ({"type": "float", "low": "x", "high": 1}, "could not convert string to float: 'x'"),
        ("interval(0, 1)", "not a mapping"),
    ],
)
def test_malformed_deprecated_form(entry: Any, reason: str) -> None:
    with pytest.raises(SearchSpaceError) as caught:
        from_deprecated({KEY: entry})
    assert caught.value.key == KEY
    assert f"found {str(entry)!r} ({reason}" in str(caught.value)
    assert "\n" not in str(caught.value)


CONDITIONAL = {
    "agent.noise_std": {"space": "interval(0.05, 0.5)", "when": {"agent.action_noise": ["normal", None]}},
    "agent.action_noise": {"space": "choice(null, normal, ou)", "when": {"agent.train_freq": 4}},
    "agent.train_freq": "choice(1, 4)",
}


def test_a_parameter_comes_behind_its_condition() -> None:
    space = parse(CONDITIONAL)
    assert list(space.distributions) == ["agent.train_freq", "agent.action_noise", "agent.noise_std"]
    assert space.distributions["agent.noise_std"] == FloatDistribution(0.05, 0.5)
    assert space.enabling("agent.noise_std") == {"agent.train_freq": 4, "agent.action_noise": "normal"}
    for params, expected in (
        ({"agent.train_freq": 4, "agent.action_noise": "null"}, True),
        ({"agent.train_freq": 4, "agent.action_noise": "ou"}, False),
        ({"agent.train_freq": 1}, False),
    ):
        assert space.has("agent.noise_std", params) is expected


@pytest.mark.parametrize("sampler", ["tpe", "gp", "random"])
def test_what_has_an_effect_in_some_trials_only_is_searched_in_these(sampler: str) -> None:
    """The condition follows from the choices of the other parameter, also if the user has set them."""
    space = ["+search_space.agent.action_noise='choice(normal,null)'"]
    config = compose_study(
        "made_up", ["study=plain", "agent=td3", "environment=pendulum", f"sampler={sampler}", *space]
    )
    assert config.space().conditions == {"agent.noise_std": {"agent.action_noise": ["normal"]}}
    always = compose_study("made_up", ["study=plain", "agent=td3", "environment=pendulum", "agent.action_noise=normal"])
    assert always.search_space["agent.noise_std"] == "interval(0.05, 0.5)"


def test_how_many_points_a_space_with_conditions_has() -> None:
    noise = {"agent.action_noise": "choice(null,normal,ornstein-uhlenbeck)", "agent.noise_std": "choice(0.1,0.2)"}
    space = parse(noise | {"agent.gamma": "choice(0.9,0.99)"})
    add_conditions(space)

    def n_points() -> int | None:
        return space.n_points({key: len(grid_values(found)) for key, found in space.distributions.items()})

    assert n_points() == (1 + 2 * 2) * 2
    space.conditions["agent.gamma"] = {"agent.action_noise": ["normal"]}
    assert n_points() is None  # on other values than the condition of noise_std
    space.conditions["agent.gamma"] = {"agent.noise_std": [0.1]}
    assert n_points() is None


def test_a_sampler_without_conditions_searches_it_in_all_trials(capsys: pytest.CaptureFixture[str]) -> None:
    """Sidewinder's own conditions are left out for it. A user's condition is refused."""
    ddpg = ["study=pendulum_ddpg", "sampler=cmaes"]
    config = compose_study("made_up", ddpg)
    assert config.search_space["agent.noise_std"] == "interval(0.05, 0.5)"
    assert "agent.noise_std is searched in all trials: CmaEsSampler takes no conditions" in capsys.readouterr().err
    own = "+search_space.agent.learning_starts={space: 'range(1,9)', when: {agent.action_noise: normal}}"
    with pytest.raises(SidewinderError, match=r"agent\.learning_starts: found a condition, accepted for Cma"):
        compose_study("made_up", [*ddpg, own])


def test_a_condition_on_a_step_of_a_range_holds_for_every_sampler() -> None:
    when = {"agent.clip_range": 0.3}
    space = parse(
        {"agent.clip_range": "range(0.1, 0.7, 0.1)", "agent.gamma": {"space": "interval(0.9, 1.0)", "when": when}}
    )
    assert space.has("agent.gamma", {"agent.clip_range": 0.1 + 2 * 0.1})
    assert not space.has("agent.gamma", {"agent.clip_range": 0.4})


def test_a_condition_on_a_fixed_key_is_decided() -> None:
    assert parse(CONDITIONAL | {"agent.action_noise": "normal"}).conditions == {}
    assert list(parse(CONDITIONAL | {"agent.action_noise": "ou"}).distributions) == ["agent.train_freq"]
    # No trial has the action noise, so none has the parameter that depends on it.
    assert parse(CONDITIONAL | {"agent.train_freq": 1}).distributions == {}


@pytest.mark.parametrize(
    ("when", "reason"),
    [
        ({"agent.gamma": 0.9}, "agent.gamma is not searched"),
        ({"agent.action_noise": "pink"}, "not a value of its search space"),
        ({}, "when is no mapping"),
        ("normal", "when is no mapping"),
        ({"agent.noise_std": 0.1}, "conditions wait for each other"),
    ],
)
def test_malformed_conditions(when: Any, reason: str) -> None:
    with pytest.raises(SearchSpaceError, match=reason) as caught:
        parse(CONDITIONAL | {"agent.noise_std": {"space": "interval(0.05, 0.5)", "when": when}})
    assert caught.value.key == "agent.noise_std"
    assert "\n" not in str(caught.value)
