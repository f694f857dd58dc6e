"""The command line: what each command prints and writes, and its exit codes."""

from __future__ import annotations

import csv
import json
import re
import shlex
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import graphbptt
from graphbptt.cli import run
from graphbptt.training.run_folder import read_parameters

SPECS = Path(__file__).parents[2] / "specs"
ADDITION = str(SPECS / "binary_addition.yaml")
SUNSPOTS = str(SPECS / "sunspots.yaml")
QUICK = ["data.examples=64", "data.validation.examples=16", "data.test.examples=16", "training.epochs=3"]
DIVERGING = """
network:
  nodes: {square: {activation: "square[t-1] * square[t-1]", initial: 10}, after: {}}
  edges: [{from: square, to: after, delay: 0, init: 1}]
targets: {after: {field: pattern}}
data: {task: {pattern_completion: {units: 1}}, steps: 9, examples: 2}
"""


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_help_imports_nothing_heavy() -> None:
    heavy = {"numpy", "scipy", "networkx", "pydantic", "rich", "yaml"}
    code = f"import sys; from graphbptt.cli import run; run(['--help']); print({heavy} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "set()"
    assert "train" in done.stdout


def test_train_writes_a_run_that_evaluate_and_train_can_read(
    here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["train", ADDITION, *QUICK]) == 0
    printed = capsys.readouterr().out
    assert "epoch 3: train loss" in printed
    assert "sequences right" in printed
    folder = here / "runs" / "binary_addition-1"
    names = {"parameters.npz", "history.csv", "figures.json", "spec.yaml"}
    assert {path.name for path in folder.iterdir()} == names
    rows = list(csv.DictReader((folder / "history.csv").read_text().splitlines()))
    assert [row["number"] for row in rows] == ["1", "2", "3"]
    with np.load(folder / "parameters.npz") as arrays:
        assert arrays["bits->hidden"].shape == (2, 3)

    assert run(["evaluate", ADDITION, *QUICK, "--parameters", str(folder)]) == 0
    of_folder = capsys.readouterr().out
    assert run(["evaluate", ADDITION, *QUICK, "--parameters", str(folder / "parameters.npz")]) == 0
    assert capsys.readouterr().out == of_folder
    assert of_folder.splitlines() == printed.splitlines()[-4:]

    assert run(["train", str(folder / "spec.yaml")]) == 0
    again = json.loads((here / "runs" / "spec-1" / "figures.json").read_text())
    assert again == json.loads((folder / "figures.json").read_text())
    assert run(["train", ADDITION, *QUICK]) == 0
    assert (here / "runs" / "binary_addition-2").exists()


def test_a_kept_spec_finds_its_data_from_anywhere(here: Path) -> None:
    assert run(["train", SUNSPOTS, "training.epochs=1"]) == 0
    kept = graphbptt.load(here / "runs" / "sunspots-1" / "spec.yaml")
    original = graphbptt.load(SPECS / "sunspots.yaml")
    np.testing.assert_array_equal(
        kept.data().train.fields["sunspots"], original.data().train.fields["sunspots"]
    )
    figures = json.loads((here / "runs" / "sunspots-1" / "figures.json").read_text())
    assert set(figures["baseline"]) == {"train", "test"}


@pytest.mark.parametrize(
    ("sent", "said", "code"),
    [(signal.SIGINT, "\ninterrupted\n", 130), (signal.SIGTERM, "terminated\n", 143)],
)
def test_what_ends_a_run_early_leaves_its_parameters(
    here: Path, capsys: pytest.CaptureFixture[str], sent: signal.Signals, said: str, code: int
) -> None:
    # What a shell starts in the background ignores interrupts, and so would what it starts.
    heeding = "import signal; signal.signal(signal.SIGINT, signal.default_int_handler); "
    command = [
        sys.executable,
        "-c",
        heeding + "from graphbptt.cli import main; main()",
        "train",
        ADDITION,
        *QUICK,
        "training.epochs=1000000",
        "backend=numpy",
    ]
    with subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as running:
        assert running.stdout is not None
        assert running.stderr is not None
        # A run that fails before its first epoch ends its output, and must not be waited for.
        assert any("epoch 1:" in line for line in iter(running.stdout.readline, ""))
        running.send_signal(sent)
        assert running.stderr.read() == said
        last = running.stdout.read().splitlines()[-1]
    assert running.returncode == code
    stopped = re.fullmatch(r"stopped after (\d+) of 1000000 epochs; the figures: graphbptt (.*)", last)
    assert stopped is not None
    folder = here / "runs" / "binary_addition-1"
    assert {path.name for path in folder.iterdir()} == {"parameters.npz", "history.csv", "spec.yaml"}
    assert len((folder / "history.csv").read_text().splitlines()) == int(stopped[1]) + 1
    assert run(shlex.split(stopped[2])) == 0
    assert "sequences right" in capsys.readouterr().out
    model = graphbptt.load(ADDITION).compile()
    start = model.vector.copy()
    read_parameters(model, here / "runs" / "binary_addition-1" / "parameters.npz")
    assert (model.vector != start).any()


def test_check(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["check", ADDITION, "data.examples=4"]) == 0
    printed = capsys.readouterr().out
    assert "valid" in printed
    assert "largest relative error" in printed
    assert "hidden->sum" in printed


def test_check_fails_where_derivatives_do_not_agree(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["check", ADDITION, "data.examples=4", "--tolerance", "0"]) == 1
    printed = capsys.readouterr().err
    assert "do not agree" in printed
    assert "kinks" not in printed


def test_check_passes_at_kinks(capsys: pytest.CaptureFixture[str]) -> None:
    """The net inputs of step 1 are exactly 0, where the slope of a rectified unit jumps."""
    kinked = ["network.nodes.hidden.activation=relu", "network.nodes.hidden.initial=0"]
    assert run(["check", ADDITION, "data.examples=4", *kinked]) == 0
    printed = capsys.readouterr()
    assert "3 derivatives stand at a kink, and lie between those on its two sides" in printed.out
    assert not printed.err


def test_check_names_activations_that_have_kinks(capsys: pytest.CaptureFixture[str]) -> None:
    """There the value of a step jumps."""
    kinked = ["network.nodes.hidden.activation=step", "network.nodes.hidden.initial=0"]
    assert run(["check", ADDITION, "data.examples=4", *kinked]) == 1
    assert "the activations of hidden have kinks" in capsys.readouterr().err


@pytest.mark.usefixtures("here")
def test_noise_is_on_or_off_or_drawn_from_a_seed(capsys: pytest.CaptureFixture[str]) -> None:
    model = graphbptt.load(ADDITION).compile()
    np.savez("p.npz", **model.parameters)
    noisy = [ADDITION, *QUICK, "network.nodes.hidden.noise=0.5"]
    chosen = ("on", "0", "1", "off")
    for command in (["check"], ["evaluate", "--parameters", "p.npz"]):
        printed = {}
        for noise in chosen:
            assert run([*command, *noisy, "--noise", noise]) == 0
            printed[noise] = capsys.readouterr().out
        assert printed["on"] == printed["0"]
        assert len(set(printed.values())) == 3
        assert run([*command, *noisy, "--noise", "loud"]) == 2
        assert "'loud' is not on, off, or a seed" in capsys.readouterr().err


def test_backends(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["backends"]) == 0
    assert "numpy: available" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (["trian", ADDITION], 2, "No such command 'trian'"),
        (["train"], 2, "Missing argument 'SPEC'"),
        (["train", "absent.yaml"], 2, "absent.yaml"),
        (["train", ADDITION, "training.epochs=0"], 2, "training.epochs: 0 is out of range"),
        (["train", ADDITION, "training.epoch=5"], 2, "did you mean 'epochs'"),
        (["train", ADDITION, "training.epochs"], 2, "training.epochs"),
        (["train", ADDITION, "training="], 2, "'training=' sets nothing; write training=value"),
        (["train", ADDITION, "network.nodes.hidden.activation=sigmoid"], 2, "it is called logistic here"),
        (["train", ADDITION, "network.nodes.hidden.cell={rnn: {activation: sigmoid}}"], 2, "called logistic"),
        (["train", ADDITION, "training.optimizer=adm"], 2, "did you mean 'adam'"),
        (["train", ADDITION, "data.task=binary_adition"], 2, "did you mean 'binary_addition'"),
        (["train", ADDITION, "network.nodes.hidden.activation=tahn"], 2, "tanh"),
        (["train", "diverging.yaml", "network.edges=[]"], 2, "network.edges: there is no edge, so nothing"),
        (
            ["train", "diverging.yaml", "network.edges.0={from: square, to: after, weight: wire}"],
            2,
            "no edge has a weight",
        ),
        (
            ["train", "diverging.yaml", "network.edges.0.trainable=false", "network.nodes.after.bias=false"],
            2,
            "leave out 'trainable: false'",
        ),
        (["train", ADDITION, "backend=nunpy"], 2, "did you mean 'numpy'"),
        (["train", ADDITION, "inputs.bits.field=bit"], 3, "did you mean 'bits'"),
        (["train", SUNSPOTS, "data.csv=absent.csv"], 3, "there is no such file"),
        (["train", SUNSPOTS, "data.fields.sunspots.from=YAER"], 3, "did you mean 'YEAR'"),
        (["evaluate", ADDITION, "--parameters", "absent.npz"], 3, "relative to the working directory"),
        (["evaluate", ADDITION, "--parameters", "."], 3, "parameters.npz: there is no such file"),
        (["evaluate", ADDITION, "--parameters", "diverging.yaml"], 3, "diverging.yaml: is no .npz archive"),
        (["train", SUNSPOTS, "data.baseline.autoregression.lags=300"], 3, "lags=300"),
        (["train", ADDITION, "data.examples=1000000000000"], 3, "not enough memory"),
        (
            ["train", ADDITION, *QUICK, "--runs", "diverging.yaml/runs"],
            2,
            "diverging.yaml/runs: Not a directory",
        ),
        (["train", "diverging.yaml"], 4, "node 'square' is not finite from step 6 on"),
        (["train", ADDITION, *QUICK, "training.optimizer.adamw.rate=1e30"], 4, "from step "),
        (["train", ADDITION, *QUICK, "targets.sum.at=[99]"], 3, "data.train: no target has a step in it"),
    ],
)
def test_mistakes_end_as_messages(
    here: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], code: int, said: str
) -> None:
    (here / "diverging.yaml").write_text(DIVERGING)
    assert run(arguments) == code
    assert said in capsys.readouterr().err


@pytest.mark.parametrize("command", ["train", "check", "explain"])
@pytest.mark.parametrize(
    ("replaced", "by", "said"),
    [
        ("field: x", "field: z", "field z: is absent, but the clamp of x reads it"),
        ("field: y", "field: w", "field w: is absent, but the target of y reads it"),
        ("mask: m", "mask: n", "field n: is absent, but the mask of the target of y reads"),
        ("npz: a.npz", "npz: b.npz", "b.npz: there is no such file"),
        ("npz: a.npz", "csv: b.csv, fields: {x: a}", "b.csv: there is no such file"),
        ("npz: a.npz", "csv: a.csv, fields: {x: level}", "data.fields.x: a.csv has no column 'level'"),
        ("npz: a.npz", "npz: a.npz, fields: {x: level}", "data.fields.x: a.npz has no array 'level'"),
        ("npz: a.npz", "npz: a.npz, split: {train: [1, 4], test: [5, 50]}", "data.split.test: 5 to 50, of 6"),
    ],
)
def test_mistakes_about_data_have_the_line_of_the_spec(
    here: Path, capsys: pytest.CaptureFixture[str], command: str, replaced: str, by: str, said: str
) -> None:
    np.savez(here / "a.npz", x=np.zeros((6, 4, 1)), y=np.zeros((6, 4, 1)), m=np.ones((6, 4)))
    (here / "a.csv").write_text("a,b\n1,2\n3,4\n")
    text = (
        "network: {nodes: {x: {}, y: {}}, edges: [{from: x, to: y}]}\n"
        "inputs: {x: {field: x}}\ntargets:\n  y: [{field: y, mask: m}]\ndata: {npz: a.npz}\n"
    )
    (here / "a.yaml").write_text(text)
    assert run([command, "a.yaml"]) == 0
    spoilt = text.replace(replaced, by)
    (here / "a.yaml").write_text(spoilt)
    assert run([command, "a.yaml"]) == 3
    line = next(number for number, line in enumerate(spoilt.splitlines(), 1) if by in line)
    shown = capsys.readouterr().err
    assert f"a.yaml:{line}:" in shown
    assert said in shown


def test_check_says_that_a_constraint_leaves_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    vanishing = "network.constraints=['hidden->hidden == 2 * hidden->hidden']"
    assert run(["check", ADDITION, "data.examples=4", vanishing]) == 0
    said = "binary_addition.yaml: valid, but constraints and signs leave nothing but 0 for hidden->hidden\n"
    assert said in capsys.readouterr().out


def test_a_spec_without_data_hears_of_every_source(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (here / "a.yaml").write_text("network: {nodes: {x: {}, y: {}}, edges: [{from: x, to: y}]}\n")
    assert run(["train", "a.yaml"]) == 2
    assert "write data: {task: ...}, {npz: ...} or {csv: ...}" in capsys.readouterr().err


def test_problems_of_data_know_their_place_in_the_spec(
    here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.copytree(SPECS / "data", here / "data")
    text = (SPECS / "sunspots.yaml").read_text().replace("train: [1709, 1920]", "train: [17090, 19200]")
    (here / "a.yaml").write_text(text.replace("test: [1921, 1955]", "test: [19210, 19550]"))
    assert run(["train", "a.yaml"]) == 3
    line = next(number for number, line in enumerate(text.splitlines(), 1) if "split:" in line)
    assert f"a.yaml:{line}:" in capsys.readouterr().err


def test_parameters_of_another_network_are_refused_one_by_one(
    here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    np.savez(here / "p.npz", **{"bits->hidden": np.zeros((3, 3)), "hiden.bias": np.zeros(3)})
    assert run(["evaluate", ADDITION, "--parameters", "p.npz"]) == 3
    said = capsys.readouterr().err
    assert "there is no parameter 'sum.bias'" in said
    assert "no parameter 'hiden.bias'; did you mean 'hidden.bias'" in said
    assert "'bits->hidden' has shape (3, 3); the network's has (2, 3)" in said


def test_parameters_that_are_no_numbers_are_refused(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    model = graphbptt.load(ADDITION).compile()
    arrays = {name: np.array(array) for name, array in model.parameters.items()}
    arrays["sum.bias"][:] = np.nan
    np.savez(here / "p.npz", **arrays)
    assert run(["evaluate", ADDITION, "--parameters", "p.npz"]) == 3
    assert "parameter 'sum.bias' is not all finite numbers" in capsys.readouterr().err


def test_fields_are_checked_before_a_run_is_kept(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    values = np.zeros((6, 4, 1))
    values[5, 2] = np.nan
    np.savez(here / "a.npz", x=values, y=np.zeros((6, 4, 1)))
    (here / "a.yaml").write_text(
        "network: {nodes: {x: {}, y: {}}, edges: [{from: x, to: y}]}\n"
        "inputs: {x: {field: x}}\ntargets: {y: {field: y}}\ndata: {npz: a.npz}\n"
    )
    assert run(["train", "a.yaml"]) == 3
    assert "example 5" in capsys.readouterr().err
    assert not (here / "runs").exists()


@pytest.mark.parametrize("command", ["train", "check"])
def test_the_network_is_checked_before_the_data(
    here: Path, capsys: pytest.CaptureFixture[str], command: str
) -> None:
    (here / "a.yaml").write_text(
        "network:\n  nodes: {x: {units: 2}, y: {units: 3}, z: {units: 4}}\n"
        "  edges: [{from: x, to: y, tie: W}, {from: x, to: z, tie: W}]\n"
    )
    assert run([command, "a.yaml"]) == 2
    assert "W" in capsys.readouterr().err


@pytest.mark.usefixtures("here")
@pytest.mark.parametrize("arguments", [["train", ADDITION, *QUICK], ["explain", ADDITION]])
def test_a_description_is_printed(capsys: pytest.CaptureFixture[str], arguments: list[str]) -> None:
    assert run([*arguments, "description=Adds two numbers [bit by bit]"]) == 0
    assert "Adds two numbers [bit by bit]" in capsys.readouterr().out


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no device that is always full")
def test_output_that_cannot_be_written_is_one_line() -> None:
    command = [sys.executable, "-m", "graphbptt", "explain", ADDITION, "backend=numpy"]
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(command, stdout=full, stderr=subprocess.PIPE, text=True, check=False)
    assert done.stderr == "No space left on device\n"
    assert done.returncode == 2


def test_check_names_where_numbers_end(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (here / "diverging.yaml").write_text(DIVERGING)
    assert run(["check", "diverging.yaml"]) == 4
    assert "the state of node 'square' is not finite" in capsys.readouterr().err


@pytest.mark.parametrize("command", ["check", "train"])
def test_what_has_no_value_before_any_update_is_no_matter_of_training(
    here: Path, capsys: pytest.CaptureFixture[str], command: str
) -> None:
    (here / "power.yaml").write_text("""
network:
  nodes: {h: {activation: net ** 2.5, bias: {init: -1}}}
targets: {h: {field: wave}}
data: {task: wave, steps: 20, examples: 4}
training: {epochs: 1}
""")
    assert run([command, "power.yaml"]) == 4
    said = capsys.readouterr().err
    assert (
        "before any update: the state of node 'h' is not finite from step 1 on: net ** 2.5 is nan where net is -1;"
        " write a power of what is never negative, such as relu(net)"
    ) in said
    assert "rate" not in said


def test_check_judges_the_training_section(capsys: pytest.CaptureFixture[str]) -> None:
    asked = ["data.examples=5", "training.batch=2", "training.stateful=true"]
    assert run(["check", ADDITION, *asked]) == 2
    assert "training.batch: 5 examples in batches of 2 leave 1" in capsys.readouterr().err


def test_check_names_penalties_that_have_kinks(capsys: pytest.CaptureFixture[str]) -> None:
    penalty = "network.nodes.hidden.penalty={l1: 0.1}"
    assert run(["check", ADDITION, "data.examples=4", penalty, "--tolerance", "0"]) == 1
    assert "the l1 penalties of hidden have a kink at 0" in capsys.readouterr().err
