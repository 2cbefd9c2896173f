"""What tests of pictures share."""

import pytest

from tests.diagnostics.forecast_frames import HOURS, PAST, forecast_of


@pytest.fixture
def forecast(rng):
    return forecast_of(rng, HOURS[PAST:])
