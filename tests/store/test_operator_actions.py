"""The stored actions of operators."""

from tests.support.companies import DAY, START, new_store
from worker.store.operator_actions import OperatorAction


def test_latest_operator_actions_are_listed_first(database_url: str) -> None:
    store = new_store(database_url)
    actions = [
        OperatorAction(START + number * DAY, "ops@corp.example", "pause", f"Group {number}") for number in range(4)
    ]
    for action in actions:
        store.operator_actions.append(action)
    assert store.operator_actions.list_latest(3) == [actions[3], actions[2], actions[1]]
    store.close()
