import pytest

from ganvas.evaluation.protocol import Better, Score
from ganvas.evaluation.ranking import Mark, Table, marks, number, protocol_in_words, tables
from tests.evaluation.comparing import PROTOCOL, evaluation, score

Interval = tuple[float, float]


def ranked(better: Better, *values: tuple[float, Interval | None]) -> list[Mark]:
    return marks([score("s", v, i, better=better, floor=1.0) for v, i in values])


def test_the_best_is_called_so_only_where_its_interval_lies_apart() -> None:
    apart = (0.5, (0.4, 0.6)), (0.8, (0.7, 0.9))
    assert ranked("higher", *apart) == ["", "best"]
    assert ranked("lower", *apart) == ["best", ""]
    touching = (0.5, (0.4, 0.6)), (0.7, (0.6, 0.8))
    assert ranked("higher", *touching) == ["level", "level"]


def test_all_that_overlap_with_the_best_are_level_with_it_and_no_others() -> None:
    values = (0.9, (0.8, 1.0)), (0.85, (0.75, 0.95)), (0.7, (0.65, 0.78)), (0.1, (0.0, 0.2))
    # the third overlaps with the second, but not with the best
    assert ranked("higher", *values) == ["level", "level", "", ""]


def test_without_intervals_the_numbers_decide() -> None:
    assert ranked("lower", (3.0, None), (2.0, None)) == ["", "best"]
    assert ranked("lower", (2.0, None), (2.0, None)) == ["level", "level"]


def test_nearer_to_the_floor_is_better_from_either_side() -> None:
    values = (0.5, (0.45, 0.55)), (1.1, (1.05, 1.15)), (2.0, (1.9, 2.1))
    assert ranked("floor", *values) == ["", "best", ""]
    around = (0.9, (0.8, 1.05)), (1.1, (1.05, 1.15))  # the first may be at the floor
    assert ranked("floor", *around) == ["level", "level"]
    unknown = [score("s", 1.0, better="floor"), score("s", 2.0, better="floor")]
    assert marks(unknown) == ["", ""]


def test_what_was_not_measured_is_not_ranked() -> None:
    alone: list[Score | None] = [score("s", 1.0), None, score("s", None)]
    assert marks(alone) == ["", "", ""]
    assert marks([*alone, score("s", 2.0)]) == ["", "", "", "best"]


def rows(table: Table) -> list[str]:
    return [row.name for row in table.rows]


def test_unlike_protocols_stand_apart_and_say_in_what_they_differ() -> None:
    other = PROTOCOL.model_copy(update={"n_fake": 200, "features_hash": "a" * 64})
    made = tables(
        {
            "few": evaluation("few", score("s", 9.0), protocol=other),
            "a": evaluation("a", score("s", 1.0)),
            "b": evaluation("b", score("s", 2.0)),
        }
    )
    assert [rows(table) for table in made] == [["a", "b"], ["few"]]
    assert [row.cells[0].mark for table in made for row in table.rows] == ["", "best", ""]
    assert made[0].differences == ()
    assert made[1].differences == (
        ("weights of the features", "f" * 12, "a" * 12),
        ("number of generated pictures", "5,000", "200"),
    )


def test_a_table_has_every_score_in_the_order_of_the_groups() -> None:
    (table,) = tables(
        {
            "a": evaluation("a", score("psnr", 20.0), score("precision", 0.5, (0.4, 0.6))),
            "b": evaluation("b", score("recall", -0.5, (-0.6, 0.4), floor=0.9)),
        }
    )
    assert [column.name for column in table.columns] == ["precision", "recall", "psnr"]
    cells = [[(cell.value, cell.interval) for cell in row.cells] for row in table.rows]
    assert cells[0] == [("0.500", "0.400–0.600"), ("", ""), ("20.000", "")]
    assert cells[1] == [("", ""), ("−0.500", "−0.600 to 0.400"), ("", "")]
    assert table.floor == ("", "0.900", "")
    blocks = table.blocks()
    assert [(title, rows(block)) for title, block in blocks] == [
        ("Pictures drawn", ["a", "b"]),
        ("Reconstructions", ["a"]),  # b has none
    ]


def test_floors_that_differ_are_shown_as_a_range() -> None:
    (table,) = tables(
        {n: evaluation(n, score("s", 1.0, floor=f)) for n, f in (("a", 0.5), ("b", 0.1))}
    )
    assert table.floor == ("0.100 to 0.500",)


@pytest.mark.parametrize(
    ("value", "digits", "text"),
    [(-0.001, 3, "−0.001"), (1234.5, 1, "1,234.5"), (1e300, 3, "1.000e+300"), (0.5, 0, "0")],
)
def test_numbers(value: float, digits: int, text: str) -> None:
    assert number(value, digits) == text


def test_a_protocol_is_put_into_words_completely() -> None:
    words = protocol_in_words(PROTOCOL)
    assert len(words) == len(type(PROTOCOL).model_fields)
    assert words["size"] == "3 × 64 × 64"
    assert words["truncation"] == "none"
    assert words["fingerprint of the real pictures"] == "0123456789ab"


def test_a_column_of_unlike_labels_is_named_by_what_they_share() -> None:
    worst = score("worst", 0.1)
    first = evaluation("a", worst.model_copy(update={"label": "Spread, worst (tilt)"}))
    second = evaluation("b", worst.model_copy(update={"label": "Spread, worst (turn)"}))
    (table,) = tables({"a": first, "b": second})
    assert [column.label for column in table.columns] == ["Spread, worst"]
    (alone,) = tables({"a": first})
    assert [column.label for column in alone.columns] == ["Spread, worst (tilt)"]
