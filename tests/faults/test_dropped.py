"""A target that applies the request and drops the answer: never a second ticket that nobody ordered."""

from dataclasses import replace

import pytest

from tests.faults.background import Background
from tests.faults.dropped import CASES, Case, drop_answers
from tests.faults.installation import UNHURRIED, Installation
from tests.faults.line import fault_line
from tests.faults.systems import system_of

pytestmark = pytest.mark.slow
TIMES = 10
INDEX_LAG = 4.0  # behind the first two look-ups, which come after one second and three


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_dropped_answer_makes_no_ticket_unasked(
    product: Installation, network: Background, case: Case
) -> None:
    case = replace(case, index_lag=min(case.index_lag, INDEX_LAG))
    product.start_workers(ONEIO_PUMPS="2", **UNHURRIED)
    system = system_of(case.system, case.index_lag)
    with fault_line(product, network, system, system=case.system, policy=case.policy) as line:
        dropped = drop_answers(line, case, TIMES)

        assert dropped.sound, dropped
