from ganvas.evaluation.compare import comparison_table
from ganvas.evaluation.protocol import TRANSLATED
from ganvas.evaluation.table import evaluation_table
from tests.evaluation.comparing import PROTOCOL, entry, evaluation, score


def test_an_evaluation_as_text() -> None:
    text = evaluation_table(
        evaluation(
            "run",
            score("frechet_distance", 9.25, better="lower", floor=0.41),
            score("sharpness", 0.95, (0.9, 1.0), better="floor", floor=1.0),
            score("odd", None),
        )
    )
    assert text.splitlines() == [
        "score                  value  95% interval  floor  better",
        "Frechet distance       9.250                0.410  lower",
        "Sharpness              0.950   0.900–1.000  1.000  like the floor",
        "Odd               not finite                       higher",
        "",
        "Drawn: 5,000, seed 0, latents from prior. Real: 5,000 of avatars (test, 3 × 64 × 64, "
        "0123456789ab).",
        "Features: classifier (ffffffffffff), as they are.",
        "Note: Nothing was held out.",
    ]


def test_baselines_and_translations_as_text() -> None:
    protocol = PROTOCOL.model_copy(update={"draws": TRANSLATED})
    known = score("l1", 0.1, better="lower", baseline=0.17)
    one = evaluation("run", known, score("sharp", 0.9, floor=1.0), protocol=protocol)
    lines = evaluation_table(one).splitlines()
    assert lines[:3] == [
        "score  value  95% interval  floor  baseline  better",
        "L1     0.100                          0.170  lower",
        "Sharp  0.900                1.000            higher",
    ]
    assert lines[4].startswith("Translated: 5,000, seed 0, from the other domain. Real: 5,000")
    other = score("l1", 0.2, better="lower", baseline=0.17)
    both = comparison_table([entry("a", known), entry("b", other)]).splitlines()
    assert both[:2] == [
        "          a        b    floor  baseline",
        "L1 ↓  0.100 *  0.200              0.170",
    ]


def test_a_file_cannot_steer_the_terminal() -> None:
    protocol = PROTOCOL.model_copy(update={"real": "\x1b[2J\x07evil\r", "preparation": "a\nb\x9b"})
    text = evaluation_table(evaluation("run", score("\x1b]0;title\x07", 1.0), protocol=protocol))
    assert "?[2J?evil?" in text
    assert "a?b?." in text
    assert all(line.isprintable() for line in text.split("\n"))


def test_runs_side_by_side() -> None:
    unlike = PROTOCOL.model_copy(update={"draws": "a guess"})
    text = comparison_table(
        [
            entry("ae", score("coverage", 0.01), protocol=unlike),
            entry("gan", score("coverage", 0.2, (0.1, 0.3)), score("psnr", 21.0)),
            entry("猫", score("coverage", 0.7, (0.6, 0.8), floor=0.97)),
        ]
    )
    lines = text.splitlines()
    assert lines[:3] == [
        "               gan       猫    floor",
        "Coverage ↑   0.200    0.700 *  0.970",
        "Psnr ↑      21.000",
    ]
    (apart,) = [i for i, line in enumerate(lines) if line.startswith("Not ranked against")]
    assert lines[apart].endswith(
        "measured differently: latents from “prior” there, “a guess” here."
    )
    assert [line.split() for line in lines[apart + 1 : apart + 3]] == [
        ["ae", "floor"],
        ["Coverage", "↑", "0.010"],
    ]
    assert lines[-1].startswith("* the best")
    assert "\x1b" not in text


def test_what_cannot_be_told_apart_is_said() -> None:
    text = comparison_table([entry("a", score("s", 0.5, (0, 1))), entry("b", score("s", 0.6))])
    assert "0.500 ≈" in text
    assert "0.600 ≈" in text
    assert "cannot be told apart" in text
    assert "*" not in text
