"""`longarc rollout`, `pause` and `resume`: what would happen is shown first, and asked about when it is for many."""

import pytest

from tests.support.companies import DANA, KIM, SAM
from tests.support.terminal import PAIR, PEOPLE, Terminal
from worker.domain.model import PairId, Participation

GROUPED = PEOPLE.replace("calendar,mail", "calendar,mail,group").replace("memory,memory", "memory,memory,Legal")


def grouped(terminal: Terminal, settings: str = "") -> Terminal:
    """Kim is in Legal, Sam in Sales."""
    terminal.write(
        "people.csv",
        GROUPED.replace(
            f"{SAM},Sam,{DANA},Europe/Berlin,DE,memory,memory,Legal",
            f"{SAM},Sam,{DANA},Europe/Berlin,DE,memory,memory,Sales",
        ),
    )
    terminal.output_of("people", "--apply")
    toml = (terminal.folder / "longarc.toml").read_text()
    terminal.write("longarc.toml", toml + settings)
    return terminal


def participation(terminal: Terminal) -> dict[PairId, Participation]:
    store = terminal.open_store()
    found = {pair_id: pair.participation for pair_id, pair in store.people.load_all_pairs().items()}
    store.close()
    return found


SAMS, KIMS = PairId(DANA, SAM), PairId(DANA, KIM)
HERE = Participation.YES


def test_everybody_takes_part_unless_the_settings_say_otherwise(terminal: Terminal) -> None:
    told = terminal.output_of("rollout")
    for wanted in ("take part", "2", "The rollout is for everybody.", "The settings have the same rollout."):
        assert wanted in told


def test_what_the_settings_would_change_is_shown_and_waits_for_the_operator(terminal: Terminal) -> None:
    grouped(terminal, '[rollout]\ngroups = ["Sales"]\nstart = 2020-01-01\n')
    before = terminal.read_database()
    told = terminal.output_of("rollout")
    assert f"By the settings, 1 pair would leave: {DANA}>{KIM}." in told
    assert "Sales" in told
    found = terminal.json_of("rollout")["settings_would_change"]
    assert (found["joining"], found["leaving"], found["objection"]) == ([], [f"{DANA}>{KIM}"], "")
    assert terminal.read_database() == before
    assert "0 joined and 1 left" in terminal.output_of("rollout", "--accept")
    assert participation(terminal) == {SAMS: HERE, KIMS: Participation.NOT_CHOSEN}
    assert "1 outside" in terminal.output_of("status")
    told = terminal.output_of("rollout")
    assert "The rollout is for groups Sales, from 2020-01-01 on." in told
    assert "are not named by the rollout" in told


def test_a_change_that_takes_many_out_ends_with_a_remedy(terminal: Terminal) -> None:
    grouped(terminal, '[rollout]\ngroups = ["Slaes"]\n')
    result = terminal.run("rollout")
    assert result.exit_code == 1
    assert "2 of 2 pairs would leave the rollout. To do it all the same: `longarc rollout --accept`." in result.stderr


@pytest.mark.parametrize(
    ("words", "paused", "cause"),
    [
        (("--everybody",), {SAMS, KIMS}, Participation.EVERYBODY_PAUSED),
        (("--group", "sales"), {SAMS}, Participation.GROUP_PAUSED),
        (("--person", KIM.upper()), {KIMS}, Participation.PERSON_PAUSED),
        (("--person", DANA), {SAMS, KIMS}, Participation.PERSON_PAUSED),
    ],
    ids=["everybody", "group", "report", "manager"],
)
def test_many_are_paused_when_the_operator_says_yes(
    terminal: Terminal, words: tuple[str, ...], paused: set[PairId], cause: Participation
) -> None:
    grouped(terminal)
    before = terminal.read_database()
    assert "Nothing was changed. Say --yes" in terminal.error_of("pause", *words, given="n\n")
    assert "Nothing was changed. Say --yes" in terminal.error_of("pause", *words, given="")
    assert terminal.read_database() == before
    told = terminal.output_of("pause", *words, given="y\n")
    assert f"{len(paused)} future event" in told
    assert "off 1 calendar; the calendar services tell the guests." in told
    assert participation(terminal) == {one: cause if one in paused else HERE for one in (SAMS, KIMS)}
    assert "is paused already" in terminal.error_of("pause", *words, "--yes")
    assert "longarc resume" in terminal.output_of("rollout")
    told = terminal.output_of("resume", *words, "--yes")
    assert f"{len(paused)} pair" in told
    assert participation(terminal) == {SAMS: HERE, KIMS: HERE}
    assert "is not paused. Nothing was changed." in terminal.error_of("resume", *words, "--yes")


def test_more_events_than_the_settings_allow_at_once_are_named(terminal: Terminal) -> None:
    grouped(terminal, "[rules]\nmax_cancels = 1\n")
    told = terminal.output_of("pause", "--everybody", "--yes")
    assert "more than the 1 of rules.max_cancels, which does not apply to this command." in told


def test_whom_to_pause_is_named_once_and_known(terminal: Terminal) -> None:
    grouped(terminal)
    for words in ((), (SAM, "--everybody"), ("--group", "Sales", "--person", SAM)):
        assert "Name a pair, or give one of --person" in terminal.error_of("pause", *words, code=2)
    assert (
        terminal.error_of("pause", "--group", "Slaes") == "longarc: Nobody is in the group Slaes. Did you mean Sales?"
    )
    assert f"Did you mean {SAM}?" in terminal.error_of("pause", "--person", "samm@corp.example")


def test_a_pair_that_something_else_holds_back_is_not_resumed_alone(terminal: Terminal) -> None:
    grouped(terminal)
    terminal.output_of("pause", "--group", "Sales", "--yes")
    said = terminal.error_of("resume", SAM)
    assert said == (
        f"longarc: {PAIR} still takes no part: the group of the report is paused. `longarc resume --group NAME` ends "
        "that."
    )
