import pytest

from morphml_core.errors import ConfigurationError
from morphml_core.experiment.settings import Finalists, Settings, Stop


def test_all_that_is_wrong_is_said_at_once():
    with pytest.raises(ConfigurationError) as caught:
        Settings(stop=Stop(trials=6, evaluations=0, time=-1.0), window=0, retries=-1, finalists=Finalists(3, 2))
    assert str(caught.value).splitlines() == [
        "stop.evaluations: is 0, but must be above 0",
        "stop.time: is -1.0, but must be above 0",
        "reproducible.window: is 0, but must be at least 1",
        "trial.retries: is -1, but must be at least 0",
        "stop.trials: is 6, but the finalists alone take 6; raise it, or lower finalists.top or finalists.repeats",
        "stop.evaluations: is 0, but the finalists alone take 6; raise it, or lower finalists.top or finalists.repeats",
    ]


def test_finalists_need_some():
    with pytest.raises(ConfigurationError) as caught:
        Settings(finalists=Finalists(0, 0))
    assert str(caught.value).splitlines() == [
        "finalists.top: is 0, but must be at least 1",
        "finalists.repeats: is 0, but must be at least 1",
    ]
