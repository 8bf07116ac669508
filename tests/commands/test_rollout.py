"""`longarc rollout`, `pause` and `resume`: they show what would change, and ask before they change many pairs."""

import pytest

from tests.support.companies import DANA, KIM, SAM
from tests.support.terminal import PAIR, PEOPLE_CSV, Terminal
from worker.domain.model import PairId, Participation

#: The people file with everybody in the group Legal.
PEOPLE_IN_LEGAL = PEOPLE_CSV.replace("calendar,mail", "calendar,mail,group").replace(
    "memory,memory", "memory,memory,Legal"
)


def assign_groups(terminal: Terminal, settings: str = "") -> None:
    """Put Sam into the group Sales and the others into Legal, and append to the settings file."""
    terminal.write(
        "people.csv",
        PEOPLE_IN_LEGAL.replace(
            f"{SAM},Sam,{DANA},Europe/Berlin,DE,memory,memory,Legal",
            f"{SAM},Sam,{DANA},Europe/Berlin,DE,memory,memory,Sales",
        ),
    )
    terminal.output_of("people", "--apply")
    toml = (terminal.folder / "longarc.toml").read_text()
    terminal.write("longarc.toml", toml + settings)


def load_participation(terminal: Terminal) -> dict[PairId, Participation]:
    store = terminal.open_store()
    participation = {pair_id: pair.participation for pair_id, pair in store.people.load_all_pairs().items()}
    store.close()
    return participation


SAM_PAIR, KIM_PAIR = PairId(DANA, SAM), PairId(DANA, KIM)


def test_everybody_takes_part_without_a_rollout_in_the_settings(terminal: Terminal) -> None:
    output = terminal.output_of("rollout")
    for words in ("take part", "2", "The rollout is for everybody.", "The settings have the same rollout."):
        assert words in output


def test_a_rollout_of_the_settings_is_shown_and_applied_on_accept(terminal: Terminal) -> None:
    assign_groups(terminal, '[rollout]\ngroups = ["Sales"]\nstart = 2020-01-01\n')
    before = terminal.read_database()
    output = terminal.output_of("rollout")
    assert f"By the settings, 1 pair would leave: {DANA}>{KIM}." in output
    assert "Sales" in output
    changes = terminal.json_of("rollout")["settings_would_change"]
    assert (changes["joining"], changes["leaving"], changes["objection"]) == ([], [f"{DANA}>{KIM}"], "")
    assert terminal.read_database() == before
    assert "0 joined and 1 left" in terminal.output_of("rollout", "--accept")
    assert load_participation(terminal) == {SAM_PAIR: Participation.YES, KIM_PAIR: Participation.NOT_CHOSEN}
    assert "1 outside" in terminal.output_of("status")
    output = terminal.output_of("rollout")
    assert "The rollout is for groups Sales, from 2020-01-01 on." in output
    assert "are not named by the rollout" in output


def test_a_rollout_that_ends_many_pairs_fails_with_a_remedy(terminal: Terminal) -> None:
    assign_groups(terminal, '[rollout]\ngroups = ["Slaes"]\n')
    result = terminal.run("rollout")
    assert result.exit_code == 1
    assert "2 of 2 pairs would leave the rollout. To do it all the same: `longarc rollout --accept`." in result.stderr


@pytest.mark.parametrize(
    ("words", "paused", "cause"),
    [
        (("--everybody",), {SAM_PAIR, KIM_PAIR}, Participation.EVERYBODY_PAUSED),
        (("--group", "sales"), {SAM_PAIR}, Participation.GROUP_PAUSED),
        (("--person", KIM.upper()), {KIM_PAIR}, Participation.PERSON_PAUSED),
        (("--person", DANA), {SAM_PAIR, KIM_PAIR}, Participation.PERSON_PAUSED),
    ],
    ids=["everybody", "group", "report", "manager"],
)
def test_many_pairs_are_paused_and_resumed_after_confirmation(
    terminal: Terminal, words: tuple[str, ...], paused: set[PairId], cause: Participation
) -> None:
    assign_groups(terminal)
    before = terminal.read_database()
    assert "Nothing was changed. Say --yes" in terminal.error_of("pause", *words, given="n\n")
    assert "Nothing was changed. Say --yes" in terminal.error_of("pause", *words, given="")
    assert terminal.read_database() == before
    output = terminal.output_of("pause", *words, given="y\n")
    assert f"{len(paused)} future event" in output
    assert "off 1 calendar; the calendar services tell the guests." in output
    assert load_participation(terminal) == {
        pair_id: cause if pair_id in paused else Participation.YES for pair_id in (SAM_PAIR, KIM_PAIR)
    }
    assert "is paused already" in terminal.error_of("pause", *words, "--yes")
    assert "longarc resume" in terminal.output_of("rollout")
    output = terminal.output_of("resume", *words, "--yes")
    assert f"{len(paused)} pair" in output
    assert load_participation(terminal) == {SAM_PAIR: Participation.YES, KIM_PAIR: Participation.YES}
    assert "is not paused. Nothing was changed." in terminal.error_of("resume", *words, "--yes")


def test_pause_warns_of_more_cancellations_than_max_cancels(terminal: Terminal) -> None:
    assign_groups(terminal, "[rules]\nmax_cancels = 1\n")
    output = terminal.output_of("pause", "--everybody", "--yes")
    assert "more than the 1 of rules.max_cancels, which does not apply to this command." in output


def test_pause_needs_exactly_one_known_pair_group_or_person(terminal: Terminal) -> None:
    assign_groups(terminal)
    for words in ((), (SAM, "--everybody"), ("--group", "Sales", "--person", SAM)):
        assert "Name a pair, or give one of --person" in terminal.error_of("pause", *words, code=2)
    assert (
        terminal.error_of("pause", "--group", "Slaes") == "longarc: Nobody is in the group Slaes. Did you mean Sales?"
    )
    assert f"Did you mean {SAM}?" in terminal.error_of("pause", "--person", "samm@corp.example")


def is_sams_pair_active(terminal: Terminal) -> bool:
    store = terminal.open_store()
    pair = store.people.load_all_pairs()[SAM_PAIR]
    store.close()
    return pair.is_active


def test_pause_and_resume_change_whether_a_pair_is_active(terminal: Terminal) -> None:
    assert terminal.error_of("resume", SAM) == (
        f"longarc: {PAIR} is not paused by `longarc pause`. Nothing was changed."
    )
    terminal.output_of("pause", SAM)
    assert not is_sams_pair_active(terminal)
    assert terminal.error_of("pause", SAM) == f"longarc: {PAIR} is paused already. Nothing was changed."
    terminal.output_of("resume", SAM)
    assert is_sams_pair_active(terminal)


def test_resume_does_not_end_a_pause_of_the_people_file(terminal: Terminal) -> None:
    terminal.write(
        "people.csv",
        PEOPLE_CSV.replace("calendar,mail", "calendar,mail,paused").replace(
            f"{SAM},Sam,{DANA},Europe/Berlin,DE,memory,memory", f"{SAM},Sam,{DANA},Europe/Berlin,DE,memory,memory,yes"
        ),
    )
    terminal.output_of("people", "--apply")
    remedy = "is still paused, by `paused` or `paused_until` in the people file. Change it there."
    before = terminal.read_database()
    assert terminal.error_of("resume", SAM) == f"longarc: {PAIR} {remedy} Nothing was changed."
    assert terminal.read_database() == before
    terminal.output_of("pause", SAM)
    assert terminal.error_of("resume", SAM) == (
        f"The pause of {PAIR} by `longarc pause` has ended, but the pair {remedy}"
    )
    assert not is_sams_pair_active(terminal)
    terminal.output_of("pause", "--everybody", "--yes")
    assert terminal.output_of("resume", "--everybody", "--yes").startswith("1 pair goes on"), "a paused pair is counted"


def test_a_pair_in_a_paused_group_cannot_be_resumed_alone(terminal: Terminal) -> None:
    assign_groups(terminal)
    terminal.output_of("pause", "--group", "Sales", "--yes")
    explanation = "still takes no part: the group of the report is paused. `longarc resume --group NAME` ends that."
    assert terminal.error_of("resume", SAM) == f"longarc: {PAIR} {explanation} Nothing was changed."
    terminal.output_of("pause", SAM)
    assert terminal.error_of("resume", SAM) == (
        f"The pause of {PAIR} by `longarc pause` has ended, but the pair {explanation}"
    )
